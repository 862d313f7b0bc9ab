import FoundationEssentials

/// JSON out and in, one document at a time.
enum JSONDocument {
  /// One line, members in alphabetical order.
  static func line<Value: Encodable>(_ value: Value) throws(CommandFailure) -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    do {
      return String(decoding: try encoder.encode(value), as: UTF8.self)
    } catch {
      throw CommandFailure(message: "cannot write JSON: \(error)")
    }
  }

  /// - Parameter name: what the document is, for the message when it does not fit `Value`.
  static func read<Value: Decodable>(_ type: Value.Type, _ bytes: [UInt8], name: String) throws(CommandFailure) -> Value
  {
    do {
      return try JSONDecoder().decode(type, from: Data(bytes))
    } catch let error as DecodingError {
      throw CommandFailure(message: "\(name): \(describe(error))")
    } catch {
      throw CommandFailure(message: "\(name): \(error)")
    }
  }

  private static func describe(_ error: DecodingError) -> String {
    switch error {
    case .typeMismatch(_, let context), .valueNotFound(_, let context), .keyNotFound(_, let context):
      let path = context.codingPath.map { $0.intValue.map { "[\($0)]" } ?? ".\($0.stringValue)" }.joined()
      return path.isEmpty ? context.debugDescription : "\(path): \(context.debugDescription)"
    case .dataCorrupted(let context):
      return "not JSON: \(context.underlyingError.map { "\($0)" } ?? context.debugDescription)"
    @unknown default:
      return "\(error)"
    }
  }

  /// Token ids: a JSON array of integers.
  static func ids(_ bytes: [UInt8], name: String) throws(CommandFailure) -> [Int32] {
    try read([Int32].self, bytes, name: name)
  }
}

/// A document whose members a command picks by name: the library may add members, and a command shows those it knows.
enum JSONValue: Codable {
  case null
  case bool(Bool)
  case integer(UInt64)
  case number(Double)
  case string(String)
  case array([JSONValue])
  case object([String: JSONValue])

  init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if container.decodeNil() {
      self = .null
    } else if let value = try? container.decode(Bool.self) {
      self = .bool(value)
    } else if let value = try? container.decode(UInt64.self) {
      self = .integer(value)
    } else if let value = try? container.decode(Double.self) {
      self = .number(value)
    } else if let value = try? container.decode(String.self) {
      self = .string(value)
    } else if let value = try? container.decode([JSONValue].self) {
      self = .array(value)
    } else {
      self = .object(try container.decode([String: JSONValue].self))
    }
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    switch self {
    case .null: try container.encodeNil()
    case .bool(let value): try container.encode(value)
    case .integer(let value): try container.encode(value)
    case .number(let value): try container.encode(value)
    case .string(let value): try container.encode(value)
    case .array(let value): try container.encode(value)
    case .object(let value): try container.encode(value)
    }
  }

  subscript(_ names: String...) -> JSONValue? {
    names.reduce(self as JSONValue?) { value, name in
      guard case .object(let members)? = value else { return nil }
      return members[name]
    }
  }

  var integer: UInt64? { if case .integer(let value) = self { value } else { nil } }
  /// An integer too.
  var double: Double? { if case .number(let value) = self { value } else { integer.map { Double($0) } } }
  var string: String? { if case .string(let value) = self { value } else { nil } }
  var bool: Bool? { if case .bool(let value) = self { value } else { nil } }

  /// The names of an object's members.
  var names: [String]? { if case .object(let members) = self { members.keys.sorted() } else { nil } }

  /// The strings of an array of strings.
  var strings: [String]? {
    if case .array(let elements) = self { elements.compactMap(\.string) } else { nil }
  }
}
