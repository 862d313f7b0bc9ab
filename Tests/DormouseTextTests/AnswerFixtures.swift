import DormouseSupport
import DormouseText
import Testing

/// `Tests/Fixtures/answers`, which `generate.py` there writes, and what reads answers in tests.
enum AnswerFixtures {
  static let folder: String = {
    let parts = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(2)
    return parts.joined(separator: "/") + "/Fixtures/answers"
  }()

  static func json(_ name: String) throws -> JSON { try File.readJSON("\(folder)/\(name)") }

  /// The markers of all families.
  static let markers = [
    "<think>", "</think>", "<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>", "<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>",
    "<｜tool▁sep｜>", "｜DSML｜", "<|tool_calls_section_begin|>", "<|tool_calls_section_end|>", "<|tool_call_begin|>",
    "<|tool_call_end|>", "<|tool_call_argument_begin|>", "<tool_call>", "</tool_call>", "<arg_key>", "</arg_key>",
    "<arg_value>", "</arg_value>", "<｜Assistant｜>", "<|assistant|>", "<|im_middle|>", "<｜latest_reminder｜>",
  ]
  static let firstMarker: Int32 = 1000

  static func id(of marker: String) -> Int32? { markers.firstIndex(of: marker).map { firstMarker + Int32($0) } }

  /// A tokenizer of bytes, in which `markers` are added tokens.
  /// - Parameter isSpecial: whether they are control tokens, which give no text.
  static func tokenizer(_ markers: [String] = markers, isSpecial: Bool = false) throws -> Tokenizer {
    var vocabulary = JSONObject()
    var next: UInt32 = 256
    for byte in 0..<256 {
      // The byte alphabet of byte-level BPE.
      let isOwn = (33...126).contains(byte) || (161...172).contains(byte) || byte >= 174
      let scalar = isOwn ? UInt32(byte) : next
      if !isOwn { next += 1 }
      vocabulary[String(try #require(Unicode.Scalar(scalar)))] = .integer(Int64(byte))
    }
    let added: [JSON] = markers.map { marker in
      [
        "id": .integer(Int64(id(of: marker) ?? 0)), "content": .string(marker), "special": .bool(isSpecial),
        "normalized": false, "single_word": false, "lstrip": false, "rstrip": false,
      ]
    }
    let file: JSON = [
      "added_tokens": .array(added), "model": ["type": "BPE", "vocab": .object(vocabulary), "merges": []],
      "pre_tokenizer": ["type": "ByteLevel", "add_prefix_space": false, "use_regex": false],
      "decoder": ["type": "ByteLevel"],
    ]
    return try Tokenizer(json: Array(file.text().utf8), configuration: nil, file: "tokenizer.json")
  }
}

/// A piece of an answer as a parser gets it.
enum AnswerToken {
  case text(String)
  case marker(String)
}

/// A part of an answer in full.
struct JoinedPart: Equatable, CustomStringConvertible {
  var part: AnswerPart
  var toolIndex: Int
  var toolID: String
  var text: String

  var description: String { "\(part)[\(toolIndex)\(toolID.isEmpty ? "" : " \(toolID)")] \(text.debugDescription)" }
}

/// The parts that a parser finds, joined.
struct JoinedParts: Equatable {
  private(set) var parts: [JoinedPart] = []

  init() {}

  mutating func append(_ new: AnswerParts) {
    for piece in new.pieces {
      let text = String(decoding: new.text[piece.bytes], as: UTF8.self)
      if let last = parts.last, last.part == piece.part, last.toolIndex == piece.toolIndex {
        parts[parts.count - 1].text += text
      } else {
        parts.append(
          JoinedPart(part: piece.part, toolIndex: piece.toolIndex, toolID: piece.toolID, text: text))
      }
    }
  }

  func text(_ part: AnswerPart) -> String { parts.filter { $0.part == part }.map(\.text).joined() }

  /// Reads `tokens` with a parser.
  init(_ parser: any AnswerParser, _ tokens: [AnswerToken], isSpecial: Bool = false) {
    var parser = parser
    var parts = AnswerParts()
    for token in tokens {
      parts.removeAll()
      switch token {
      case .text(let text): parser.append(0, text: Array(text.utf8), to: &parts)
      case .marker(let marker):
        parser.append(
          AnswerFixtures.id(of: marker) ?? 0, text: isSpecial ? [] : Array(marker.utf8), to: &parts)
      }
      append(parts)
    }
    parts.removeAll()
    parser.finish(text: [], to: &parts)
    append(parts)
  }
}
