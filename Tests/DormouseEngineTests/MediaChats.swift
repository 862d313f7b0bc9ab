import DormouseEngine
import DormouseMedia
import DormouseSupport
import Testing

/// A conversation of the goldens of a model that takes media.
struct MediaConversation: Sendable, CustomTestStringConvertible {
  let name: String
  let messages: String
  let attachments: [MediaItem]
  let ids: [Int32]
  let greedy: [Int32]

  var testDescription: String { name }

  init(_ json: JSON) throws {
    let fields = try JSONFields(json, file: "golden.json")
    name = try fields.string("name")
    ids = (try fields.optionalArray("ids") ?? []).compactMap { $0.integerValue.map { Int32($0) } }
    greedy = (try fields.optionalArray("greedy") ?? []).compactMap { $0.integerValue.map { Int32($0) } }
    var attachments: [MediaItem] = []
    let messages = try (try fields.optionalArray("messages") ?? []).map { message -> JSON in
      guard var object = message.objectValue, let parts = object["content"]?.arrayValue else { return message }
      object["content"] = .array(
        try parts.map { part in
          guard let item = try MediaConversation.item(part) else { return part }
          attachments.append(item)
          let type = item.modality == .audio ? "input_audio" : "\(item.modality.rawValue)_url"
          return ["type": .string(type), type: ["url": .string("attachment:\(attachments.count - 1)")]]
        })
      return .object(object)
    }
    self.attachments = attachments
    self.messages = JSON.array(messages).text()
  }

  /// [width, height, seed], [frames, width, height, seed, frames a second], or [samples, seed]; nil for text.
  private static func item(_ part: JSON) throws -> MediaItem? {
    let numbers = (part["image"] ?? part["video"] ?? part["audio"])?.arrayValue?.compactMap(\.doubleValue) ?? []
    let n = numbers.map { Int($0) }
    switch part["type"]?.stringValue {
    case "image": return .image(try SyntheticImages.image(n[0], n[1], seed: n[2]))
    case "video":
      let frames = try (0..<n[0]).map { try SyntheticImages.image(n[1], n[2], seed: n[3] + $0) }
      return .video(try HeldVideo(frames, framesPerSecond: numbers[4]), framesPerSecond: nil)
    case "audio":
      var audio = try HeldAudio(channelCount: 1, rate: SyntheticAudio.rate)
      try SyntheticAudio.voice(n[0], seed: n[1]).withUnsafeBufferPointer { try audio.append($0) }
      return .audio(audio)
    default: return nil
    }
  }

  /// The same with other content.
  init(_ other: Self, attachments: [MediaItem]) {
    name = other.name
    messages = other.messages
    self.attachments = attachments
    ids = other.ids
    greedy = other.greedy
  }

  /// One that no golden knows.
  init(messages: String, attachments: [MediaItem], ids: [Int32]) {
    name = "a test's own"
    self.messages = messages
    self.attachments = attachments
    self.ids = ids
    greedy = []
  }

  /// Those of `golden.json` in a model's folder.
  static func all(in folder: String) -> [MediaConversation] {
    let document = try? File.readJSON(folder + "/golden.json")
    return (document?["conversations"]?.arrayValue ?? []).compactMap { try? MediaConversation($0) }
  }
}

/// What suites about models that take media have in common.
enum MediaChats {
  private static let bound = 1e-5

  static func engine(_ folder: String, _ change: (inout EngineOptions) -> Void = { _ in }) throws -> Engine {
    var options = EngineOptions()
    options.threadCount = 2
    change(&options)
    return try Engine(path: folder, options: options)
  }

  static func session(_ engine: Engine, isPrivate: Bool = false) throws -> Session {
    var options = SessionOptions()
    options.isPrivate = isPrivate
    return try Session(engine: engine, options: options)
  }

  /// All events of a greedy answer.
  static func events(
    _ session: Session, _ messages: String, _ attachments: [MediaItem], maxTokens: Int
  ) throws -> [GenerationEvent] {
    var events: [GenerationEvent] = []
    let configuration = #"{"temperature": 0, "ignore_eos": true, "max_tokens": "# + "\(maxTokens)}"
    _ = try session.chat(messages: messages, attachments: attachments, configuration: configuration) {
      events.append($0)
      return 0
    }
    return events
  }

  /// The tokens of an answer, and what its last event counts.
  static func chat(
    _ session: Session, _ conversation: MediaConversation, maxTokens: Int = 16
  ) throws -> (tokens: [Int32], counts: GenerationEvent.Counts) {
    let events = try events(session, conversation.messages, conversation.attachments, maxTokens: maxTokens)
    return (events.filter { $0.kind == .token }.map(\.token), try #require(events.last).counts)
  }

  static func logits(_ session: Session) throws -> [Float] {
    var logits = [Float](repeating: .nan, count: session.vocabularySize)
    try logits.withUnsafeMutableBufferPointer { try session.copyLogits(to: $0) }
    return logits
  }

  /// Prompt, answer and counts of tokens are the golden ones.
  /// - Parameter tokens: what stands for a row of an image, of a video and of audio.
  static func expectAnswer(_ conversation: MediaConversation, in folder: String, tokens: [Int32]) throws {
    let engine = try engine(folder)
    #expect(
      try engine.tokenize(messages: conversation.messages, attachments: conversation.attachments) == conversation.ids)
    let answer = try chat(try session(engine), conversation)
    #expect(answer.tokens == conversation.greedy)
    #expect(answer.counts.promptTokens == conversation.ids.count)
    let media = answer.counts.mediaTokens
    #expect([media.image, media.video, media.audio] == tokens.map { token in conversation.ids.count { $0 == token } })
  }

  /// Logits behind the prompt and behind each of its first tokens more, which are rows `first` on of the goldens (all of them,
  /// where `first` is 0); to rewind and evaluate anew changes
  /// nothing.
  static func expectLogits(_ conversation: MediaConversation, in folder: String, first: Int, count: Int) throws {
    let golden = try TensorFile(folder + "/golden.safetensors")
    let all = try golden.floats("\(conversation.name).logits")
    let session = try session(try engine(folder))
    _ = try chat(session, conversation, maxTokens: count)
    let width = session.vocabularySize
    #expect(first > 0 || all.count == count * width)
    for index in (0..<count).reversed() {
      try session.truncate(to: conversation.ids.count + min(index, 1))
      for token in conversation.greedy[min(index, 1)..<index] { try session.prefill([token]) }
      let error = relativeError(
        try logits(session), all[(first + index) * width..<(first + index + 1) * width])
      #expect(error <= bound, "\(conversation.name), \(index) tokens behind the prompt: \(error)")
    }
  }

  /// Sessions side by side, in steps that hold tokens of some and parts of others' encodings, answer as each alone.
  static func expectAnswersSideBySide(_ conversations: [MediaConversation], in folder: String) async throws {
    let engine = try engine(folder) { $0.promptTokensPerStep = 7 }
    try await withThrowingTaskGroup(of: (MediaConversation, [Int32]).self) { group in
      for conversation in conversations + conversations + conversations {
        group.addTask {
          (conversation, try chat(try session(engine, isPrivate: true), conversation).tokens)
        }
      }
      for try await (conversation, tokens) in group { #expect(tokens == conversation.greedy, "\(conversation.name)") }
    }
  }

  /// Loading counts all bytes once, and never goes back. Returns the total.
  @discardableResult
  static func expectOneProgress(
    _ folder: String, _ change: (inout EngineOptions) -> Void = { _ in }
  ) throws -> UInt64 {
    let reports = Locked<[(done: UInt64, total: UInt64)]>([])
    _ = try engine(folder) {
      change(&$0)
      $0.progress = { done, total in
        reports.withLock { $0.append((done, total)) }
        return true
      }
    }
    let found = reports.withLock { $0 }
    let total = try #require(found.first?.total)
    #expect(found.allSatisfy { $0.total == total } && found.last?.done == total)
    #expect(zip(found, found.dropFirst()).allSatisfy { $0.done <= $1.done })
    return total
  }
}

/// An image of which nothing is known but its rows.
struct PreparedRows: PreparedMedia {
  let rowCount: Int
  let contentHash: ContentHash
  let modality = Modality.image
  let byteCount = 0
  let scratchByteCount = 0
}
