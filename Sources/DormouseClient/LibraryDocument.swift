import FoundationEssentials

/// A JSON document that the library wrote. Newer libraries may add members.
public struct LibraryDocument: Sendable {
  /// As the library wrote it.
  public let text: String
  /// The same, read.
  public let value: JSONValue

  /// - Parameter name: what the document is, for the error when `text` is no JSON.
  init(_ text: String, name: String) throws(DormouseError) {
    self.text = text
    do {
      value = try JSONDecoder().decode(JSONValue.self, from: Data(text.utf8))
    } catch {
      throw DormouseError(.internalError, "\(name) is not JSON: \(error)")
    }
  }

  /// The value at a path of members' names, from the outermost one; nil where there is no such member.
  public subscript(_ names: String...) -> JSONValue? {
    names.reduce(value as JSONValue?) { value, name in value?[name] }
  }
}

/// A value of a JSON document whose members are picked by name.
public enum JSONValue: Codable, Sendable {
  case null
  case bool(Bool)
  case integer(UInt64)
  case number(Double)
  case string(String)
  case array([JSONValue])
  case object([String: JSONValue])

  public init(from decoder: any Decoder) throws {
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

  public func encode(to encoder: any Encoder) throws {
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

  /// An object's member; nil where there is none of that name.
  public subscript(_ name: String) -> JSONValue? {
    if case .object(let members) = self { members[name] } else { nil }
  }

  /// An integer that is not negative.
  public var integer: UInt64? { if case .integer(let value) = self { value } else { nil } }
  /// A number, an integer too.
  public var double: Double? { if case .number(let value) = self { value } else { integer.map { Double($0) } } }
  public var string: String? { if case .string(let value) = self { value } else { nil } }
  public var bool: Bool? { if case .bool(let value) = self { value } else { nil } }

  /// The names of an object's members, in alphabetical order.
  public var names: [String]? { if case .object(let members) = self { members.keys.sorted() } else { nil } }

  /// The values of an array.
  public var elements: [JSONValue]? { if case .array(let elements) = self { elements } else { nil } }

  /// The strings of an array.
  public var strings: [String]? { elements?.compactMap(\.string) }
}
