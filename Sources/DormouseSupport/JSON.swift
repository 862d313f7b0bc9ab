/// A JSON value. Object members keep their order in the document.
public indirect enum JSON: Sendable, Equatable {
  case null
  case bool(Bool)
  case integer(Int64)
  /// An integer that does not fit 64 bits, as it stands in the document: an optional sign and decimal digits.
  case largeInteger(String)
  case number(Double)
  case string(String)
  case array([JSON])
  case object(JSONObject)

  /// What the value is, in the words of an error message.
  public var typeName: String {
    switch self {
    case .null: "null"
    case .bool: "a boolean"
    case .integer, .largeInteger: "an integer"
    case .number: "a number"
    case .string: "a string"
    case .array: "an array"
    case .object: "an object"
    }
  }

  public var isNull: Bool { self == .null }

  public var boolValue: Bool? { if case .bool(let value) = self { value } else { nil } }
  public var integerValue: Int64? { if case .integer(let value) = self { value } else { nil } }
  public var stringValue: String? { if case .string(let value) = self { value } else { nil } }
  public var arrayValue: [JSON]? { if case .array(let value) = self { value } else { nil } }
  public var objectValue: JSONObject? { if case .object(let value) = self { value } else { nil } }

  /// The value of an integer or a number; whole numbers beyond 2^53 are rounded. Nil where it would be infinite.
  public var doubleValue: Double? {
    switch self {
    case .integer(let value): return Double(value)
    case .largeInteger(let digits):
      guard let value = Double(digits), value.isFinite else { return nil }
      return value
    case .number(let value): return value
    default: return nil
    }
  }

  /// The member called `key` of an object; nil for a missing member and for any other type.
  public subscript(key: String) -> JSON? { objectValue?[key] }
}

/// The members of a JSON object in document order, with constant-time look-up by the exact bytes of a key.
public struct JSONObject: Sendable, Equatable, Sequence {
  public private(set) var keys: [String] = []
  private var values: [ExactString: JSON] = [:]

  public init() {}

  public init(_ members: KeyValuePairs<String, JSON>) {
    for (key, value) in members { self[key] = value }
  }

  public var count: Int { keys.count }
  public var isEmpty: Bool { keys.isEmpty }

  public subscript(key: String) -> JSON? {
    get { values[ExactString(key)] }
    set {
      if let newValue {
        if values.updateValue(newValue, forKey: ExactString(key)) == nil { keys.append(key) }
      } else if values.removeValue(forKey: ExactString(key)) != nil {
        keys.removeAll { ExactString($0) == ExactString(key) }
      }
    }
  }

  /// These members, and those of `other`, which win.
  public func merging(_ other: JSONObject) -> JSONObject {
    var result = self
    for (key, value) in other { result[key] = value }
    return result
  }

  public func makeIterator() -> AnyIterator<(key: String, value: JSON)> {
    var index = 0
    return AnyIterator {
      guard index < keys.count else { return nil }
      let key = keys[index]
      index += 1
      return (key, self[key] ?? .null)
    }
  }
}

extension JSON: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral,
  ExpressibleByFloatLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
  public init(stringLiteral value: String) { self = .string(value) }
  public init(integerLiteral value: Int64) { self = .integer(value) }
  public init(booleanLiteral value: Bool) { self = .bool(value) }
  public init(floatLiteral value: Double) { self = .number(value) }
  public init(arrayLiteral elements: JSON...) { self = .array(elements) }
  public init(dictionaryLiteral elements: (String, JSON)...) {
    var object = JSONObject()
    for (key, value) in elements { object[key] = value }
    self = .object(object)
  }
}
