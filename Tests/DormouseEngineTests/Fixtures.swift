import DormouseText

@testable import DormouseEngine

/// Files of this repository, found from the place of this source.
enum Fixtures {
  private static let root = String(#filePath.split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 })

  /// - Parameter name: below `Tests/`.
  static func path(_ name: String) -> String { root + "/Tests/" + name }

  /// The model that ships.
  static let shippedModel = root + "/examples/models/dormouse-tiny"
}

/// The shipped model without its weights.
struct ShippedText {
  let engine: Engine
  let vocabularySize: Int
  let tokenizer: Tokenizer

  init() throws {
    var options = EngineOptions()
    options.withoutWeights = true
    engine = try Engine(path: Fixtures.shippedModel, options: options)
    vocabularySize = try engine.modelFolder().configuration.vocabularySize
    tokenizer = try engine.text.requireTokenizer()
  }
}
