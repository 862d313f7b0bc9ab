import DormouseEngine
import DormouseSupport
import Glibc
import Testing

/// `time_limit`, cancelling and the length of the context hold while a chat is rendered and tokenized.
@Suite struct PromptLimitTests {
  /// Some seconds of rendering within the limits of templates, and minutes of tokenizing.
  private static let slowTemplate: @Sendable (inout JSONObject) -> Void = {
    $0["chat_template"] =
      "{% for i in range(100000) %}{% for j in range(1000) %}{% set x = 1 %}{% endfor %}{% endfor %}"
  }
  private static let slowPattern: @Sendable (inout JSONObject) -> Void = {
    $0["pre_tokenizer"] = [
      "type": "Sequence",
      "pretokenizers": [
        ["type": "Split", "pattern": ["Regex": "x*y|."], "behavior": "Isolated"],
        ["type": "ByteLevel", "add_prefix_space": false, "use_regex": false],
      ],
    ]
  }
  private static let content = String(repeating: "x", count: 400_000)

  private func session(_ copy: ShippedCopy, _ change: (inout SessionOptions) -> Void = { _ in }) throws -> Session {
    var options = SessionOptions()
    options.contextLength = 1024
    change(&options)
    return try Session(engine: try copy.engine(), options: options)
  }

  /// A folder whose bytes can't say that a text is too long, so that it is tokenized whole.
  private func slowTokenizer() throws -> ShippedCopy {
    try ShippedCopy([
      "tokenizer.json": {
        Self.slowPattern(&$0)
        $0["normalizer"] = ["type": "Strip", "strip_left": true, "strip_right": true]
      }
    ])
  }

  @Test func theTimeLimitHoldsInRenderingAndTokenizing() throws {
    for copy in [try ShippedCopy(["tokenizer_config.json": Self.slowTemplate]), try slowTokenizer()] {
      let session = try session(copy)
      _ = try session.generate([5, 6], configuration: #"{"max_tokens": 1}"#) { _ in 0 }
      let length = try session.length()
      let status = Runs.status { _ = try ShippedCopy.answer(session, Self.content, #"{"time_limit": 0.02}"#) }
      #expect(status == .timedOut)
      #expect(try session.length() == length)
    }
  }

  @Test func cancellingStopsRenderingAndTokenizing() throws {
    for copy in [try ShippedCopy(["tokenizer_config.json": Self.slowTemplate]), try slowTokenizer()] {
      let session = try session(copy)
      let isDone = Locked(false)
      let threads = Threads()
      try threads.start {
        while !isDone.withLock({ $0 }) {
          session.cancel()
          usleep(1000)
        }
      }
      let status = Runs.status { _ = try ShippedCopy.answer(session, Self.content) }
      isDone.withLock { $0 = true }
      threads.join()
      #expect(status == .cancelled)
      #expect(try session.length() == 0)
    }
  }

  /// Without either, the file is at fault, and named.
  @Test func aHostileTokenizerIsNamed() throws {
    let copy = try ShippedCopy(["tokenizer.json": Self.slowPattern])
    let engine = try copy.engine { $0.withoutWeights = true }
    #expect {
      try Array(Self.content.utf8.prefix(200_000)).withUnsafeBytes {
        try engine.tokenize($0, addSpecial: false, parseSpecial: false)
      }
    } throws: { error in
      (error as? Failure)?.status == .malformed
        && "\(error)".contains("tokenizer.json: pre_tokenizer.pretokenizers[0].pattern: pattern 'x*y|.' takes too long")
    }
  }

  /// The bytes of a text alone can say that it is too long; nothing is tokenized then, however slow that would be.
  @Test(arguments: [SessionOptions.Overflow.stop, .slide(keeping: 8)])
  func aTextOfTooManyBytesIsRefusedBeforeItIsTokenized(overflow: SessionOptions.Overflow) throws {
    let session = try session(try ShippedCopy(["tokenizer.json": Self.slowPattern])) { $0.overflow = overflow }
    #expect {
      try ShippedCopy.answer(session, Self.content)
    } throws: { error in
      (error as? Failure)?.status == .contextFull && "\(error)".contains("the chat has at least ")
    }
    #expect(try session.length() == 0)
  }

  /// One token too many is refused, and as many as there may be are taken, by their number.
  @Test func theBorderIsCountedInTokens() throws {
    let engine = try ShippedCopy().engine()
    let content = String(repeating: "a b ", count: 30)
    let messages: JSON = [["role": "user", "content": .string(content)]]
    let count = try engine.tokenize(messages: messages.text()).count
    for (context, fits) in [(count - 1, false), (count + 1, true)] {
      var options = SessionOptions()
      options.contextLength = context
      let session = try Session(engine: engine, options: options)
      do {
        _ = try ShippedCopy.answer(session, content, #"{"max_tokens": 1}"#)
        #expect(fits)
      } catch {
        #expect(!fits && "\(error)" == "the chat has \(count) tokens, more than the session's \(context)")
      }
    }
  }
}
