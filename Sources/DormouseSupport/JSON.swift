/// A JSON value. Object members keep their order in the document.
public indirect enum JSON: Sendable, Equatable {
  case null
  case bool(Bool)
  case integer(Int64)
  case number(Double)
  case string(String)
  case array([JSON])
  case object(JSONObject)

  /// What the value is, in the words of an error message.
  public var typeName: String {
    switch self {
    case .null: "null"
    case .bool: "a boolean"
    case .integer: "an integer"
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

  /// The value of an integer or a number; whole numbers beyond 2^53 are rounded.
  public var doubleValue: Double? {
    switch self {
    case .integer(let value): Double(value)
    case .number(let value): value
    default: nil
    }
  }

  /// The member called `key` of an object; nil for a missing member and for any other type.
  public subscript(key: String) -> JSON? { objectValue?[key] }
}

/// The members of a JSON object in document order, with look-up by the exact bytes of a key: in constant time, or by
/// comparing a few keys where there are only a few.
public struct JSONObject: Sendable, Equatable, Sequence {
  public private(set) var keys: [String] = []
  private var values: [JSON] = []
  /// Where each key stands; empty for few members.
  private var positions: [ExactString: Int] = [:]

  /// Up to this many members comparing keys is cheaper than a table.
  private static let fewMembers = 8

  public init() {}

  public init(_ members: KeyValuePairs<String, JSON>) {
    for (key, value) in members { self[key] = value }
  }

  public var count: Int { keys.count }
  public var isEmpty: Bool { keys.isEmpty }

  public subscript(key: String) -> JSON? {
    get { position(of: key).map { values[$0] } }
    set {
      let position = position(of: key)
      switch (position, newValue) {
      case (let position?, let value?): values[position] = value
      case (let position?, nil): remove(at: position)
      case (nil, let value?): append(key, value)
      case (nil, nil): break
      }
    }
  }

  private func position(of key: String) -> Int? {
    let key = ExactString(key)
    return positions.isEmpty ? keys.firstIndex { ExactString($0) == key } : positions[key]
  }

  private mutating func append(_ key: String, _ value: JSON) {
    keys.append(key)
    values.append(value)
    if !positions.isEmpty {
      positions[ExactString(key)] = keys.count - 1
    } else if keys.count > JSONObject.fewMembers {
      index()
    }
  }

  private mutating func remove(at position: Int) {
    keys.remove(at: position)
    values.remove(at: position)
    positions = [:]
    if keys.count > JSONObject.fewMembers { index() }
  }

  private mutating func index() {
    for (position, key) in keys.enumerated() { positions[ExactString(key)] = position }
  }

  public func makeIterator() -> AnyIterator<(key: String, value: JSON)> {
    var members = zip(keys, values).makeIterator()
    return AnyIterator { members.next().map { (key: $0, value: $1) } }
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
