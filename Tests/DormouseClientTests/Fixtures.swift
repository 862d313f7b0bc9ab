import DormouseClient

/// Files of this repository, found from the place of this source.
enum Fixtures {
  private static let root = String(#filePath.split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 })

  /// The model that ships.
  static let shippedModel = root + "/examples/models/dormouse-tiny"
  /// One that takes images, videos and audio.
  static let mediaModel = root + "/Tests/Fixtures/models-media/kimi_k25-omni"
  static let image = root + "/examples/media/shapes.png"
  static let audio = root + "/examples/media/digits.mp3"
  static let whisper = root + "/Tests/Fixtures/whisper/good-multilingual"

  static let question = #"[{"role": "user", "content": "What is 7 plus 5?"}]"#

  static func engine(_ change: (inout OpenEngine.Options) -> Void = { _ in }) throws -> OpenEngine {
    var options = OpenEngine.Options()
    options.threadCount = 2
    change(&options)
    return try OpenEngine(shippedModel, options)
  }

  static var greedy: OpenSession.GenerationOptions {
    var options = OpenSession.GenerationOptions()
    options.temperature = 0
    return options
  }
}
