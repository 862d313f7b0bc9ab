import DormouseSupport
import DormouseText
import Testing

/// `Tests/Fixtures/tokenizer`; `generate.py` there writes all of it but the `bad-*` folders.
enum TokenizerFixtures {
  static let folder: String = {
    let parts = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(2)
    return parts.joined(separator: "/") + "/Fixtures/tokenizer"
  }()

  /// The tokenizers whose every id is compared with the reference's.
  static let names = ["deepseek-v2", "deepseek-v3", "glm-4", "mixed", "kimi"]

  static func tokenizer(_ name: String) throws -> Tokenizer { try Tokenizer(folder: "\(folder)/\(name)") }

  static func json(_ name: String) throws -> JSON { try File.readJSON("\(folder)/\(name)") }

  static func strings() throws -> [String] {
    try #require(try json("strings.json").arrayValue).map { try #require($0.stringValue) }
  }

  static func ids(_ json: JSON?) throws -> [Int32] {
    try #require(json?.arrayValue).map { Int32(try #require($0.integerValue)) }
  }

  static func text(_ bytes: [UInt8]) -> ExactString { ExactString(String(decoding: bytes, as: UTF8.self)) }
}
