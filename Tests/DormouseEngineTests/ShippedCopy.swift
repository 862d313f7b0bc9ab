import DormouseEngine
import DormouseSupport
import Glibc

/// The folder of the shipped model with some of its documents changed.
final class ShippedCopy {
  let folder: TemporaryFolder

  /// - Parameters:
  ///   - changes: by file, what to do with its document.
  ///   - missing: files that are left out.
  init(_ changes: [String: (inout JSONObject) -> Void] = [:], missing: [String] = []) throws {
    folder = try TemporaryFolder()
    let names = [
      "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors",
    ]
    for name in names where !missing.contains(name) {
      let source = Fixtures.shippedModel + "/" + name
      guard let change = changes[name] else {
        guard symlink(source, folder.path + "/" + name) == 0 else { throw Failure(.inputOutput, "cannot link \(name)") }
        continue
      }
      guard var document = try File.readJSON(source).objectValue else { throw Failure(.malformed, name) }
      change(&document)
      try folder.write(name, Array(JSON.object(document).text().utf8))
    }
  }

  func engine(_ change: (inout EngineOptions) -> Void = { _ in }) throws -> Engine {
    var options = EngineOptions()
    options.threadCount = 1
    change(&options)
    return try Engine(path: folder.path, options: options)
  }

  /// What a session makes of one message.
  static func answer(
    _ session: Session, _ content: String, _ configuration: String? = nil
  ) throws -> (text: String, tokens: [Int32], end: GenerationEvent?) {
    var text: [UInt8] = []
    var tokens: [Int32] = []
    var end: GenerationEvent?
    let messages: JSON = [["role": "user", "content": .string(content)]]
    _ = try session.chat(messages: messages.text(), configuration: configuration) { event in
      text += event.text
      if event.kind == .token { tokens.append(event.token) }
      if event.kind == .end { end = event }
      return 0
    }
    return (String(decoding: text, as: UTF8.self), tokens, end)
  }
}
