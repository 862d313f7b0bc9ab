/// Reads one object of a JSON document field by field; every failure names the document, the field, the value found
/// and what was expected.
public struct JSONFields {
  public let object: JSONObject
  /// The document, as it stands in front of every sentence: a path, or an argument's name.
  public let file: String
  /// The path of this object inside the document, with its final dot; empty for the document itself.
  public let path: String
  /// Of failures: `malformed` for a file, `invalidArgument` for what a caller gave.
  private let status: Status

  public init(_ value: JSON, file: String, path: String = "", status: Status = .malformed) throws(Failure) {
    guard case .object(let object) = value else {
      let name = path.isEmpty ? "the document" : String(path.dropLast())
      throw Failure(status, "\(file): \(name) is \(value.typeName); expected an object")
    }
    self.object = object
    self.file = file
    self.path = path
    self.status = status
  }

  /// Reads the object that a caller gave as the argument `name`.
  public init(argument text: String, name: String, limits: JSON.Limits = JSON.Limits()) throws(Failure) {
    try self.init(
      JSON.parse(argument: text, name: name, limits: limits), file: name, status: .invalidArgument)
  }

  /// The same document with other members.
  public func replacing(_ object: JSONObject) throws(Failure) -> JSONFields {
    try JSONFields(.object(object), file: file, path: path, status: status)
  }

  /// The member called `key`; nil when it is missing or null.
  public func value(_ key: String) -> JSON? {
    guard let value = object[key], !value.isNull else { return nil }
    return value
  }

  /// Whether the member stands in the document, null or not.
  public func has(_ key: String) -> Bool { object[key] != nil }

  public func fields(_ key: String) throws(Failure) -> JSONFields? {
    guard let value = value(key) else { return nil }
    return try JSONFields(value, file: file, path: "\(path)\(key).", status: status)
  }

  public func integer(_ key: String, _ range: ClosedRange<Int>) throws(Failure) -> Int {
    guard let value = try optionalInteger(key, range) else {
      throw absent(key, expected: JSONFields.words(range))
    }
    return value
  }

  public func optionalInteger(_ key: String, _ range: ClosedRange<Int>) throws(Failure) -> Int? {
    guard let value = value(key) else { return nil }
    guard let integer = value.integerValue, let number = Int(exactly: integer), range.contains(number) else {
      throw wrong(key, value, expected: JSONFields.words(range))
    }
    return number
  }

  public func number(_ key: String, _ range: ClosedRange<Double>) throws(Failure) -> Double {
    guard let value = try optionalNumber(key, range) else {
      throw absent(key, expected: JSONFields.words(range))
    }
    return value
  }

  /// - Parameter excluded: a border of the range that does not belong to it.
  public func optionalNumber(
    _ key: String, _ range: ClosedRange<Double>, except excluded: Double? = nil
  ) throws(Failure) -> Double? {
    guard let value = value(key) else { return nil }
    guard let number = value.doubleValue, range.contains(number), number != excluded else {
      let exception = excluded.map { " except \($0)" } ?? ""
      throw wrong(key, value, expected: JSONFields.words(range) + exception)
    }
    return number
  }

  public func boolean(_ key: String) throws(Failure) -> Bool {
    guard let value = try optionalBoolean(key) else { throw absent(key, expected: "true or false") }
    return value
  }

  public func optionalBoolean(_ key: String) throws(Failure) -> Bool? {
    guard let value = value(key) else { return nil }
    guard let boolean = value.boolValue else { throw wrong(key, value, expected: "true or false") }
    return boolean
  }

  public func string(_ key: String) throws(Failure) -> String {
    guard let value = try optionalString(key) else { throw absent(key, expected: "a string") }
    return value
  }

  public func optionalString(_ key: String) throws(Failure) -> String? {
    guard let value = value(key) else { return nil }
    guard let string = value.stringValue else { throw wrong(key, value, expected: "a string") }
    return string
  }

  /// A string that is the raw value of a case.
  public func optionalCase<Case: RawRepresentable<String> & CaseIterable>(
    _ key: String, of type: Case.Type = Case.self
  ) throws(Failure) -> Case? {
    guard let value = value(key) else { return nil }
    guard let found = value.stringValue.flatMap({ Case(rawValue: $0) }) else {
      let known = Case.allCases.map { JSON.string($0.rawValue).text() }
      throw wrong(key, value, expected: known.joined(separator: " or "))
    }
    return found
  }

  public func optionalArray(_ key: String) throws(Failure) -> [JSON]? {
    guard let value = value(key) else { return nil }
    guard let array = value.arrayValue else { throw wrong(key, value, expected: "an array") }
    return array
  }

  /// A string, or an array of strings.
  public func optionalStrings(_ key: String) throws(Failure) -> [String]? {
    guard let value = value(key) else { return nil }
    var strings: [String] = []
    for element in value.arrayValue ?? [value] {
      guard let string = element.stringValue else {
        throw wrong(key, element, expected: "a string or an array of strings")
      }
      strings.append(string)
    }
    return strings
  }

  /// Throws when the object has a member that is not among `known`.
  public func refuseMembers(besides known: [String]) throws(Failure) {
    for key in object.keys where !known.contains(where: { ExactString($0) == ExactString(key) }) {
      throw Failure(
        status, "\(file): \(path)\(key) is not a known member; known: \(known.joined(separator: ", "))")
    }
  }

  /// The value is well formed but Dormouse does not have what it asks for.
  /// - Parameter meaning: what the value stands for, where its name does not tell.
  public func unsupported(_ key: String, _ value: JSON, meaning: String? = nil, supported: String) -> Failure {
    let found = JSONFields.shown(value) + (meaning.map { " (\($0))" } ?? "")
    return Failure(.unsupported, "\(file): \(path)\(key) is \(found), which is not supported; supported: \(supported)")
  }

  public func wrong(_ key: String, _ value: JSON, expected: String) -> Failure {
    let found = JSONFields.shown(value)
    return Failure(status, "\(file): \(path)\(key) is \(found); expected \(expected)")
  }

  private func absent(_ key: String, expected: String) -> Failure {
    let what = has(key) ? "null" : "missing"
    return Failure(status, "\(file): \(path)\(key) is \(what); expected \(expected)")
  }

  private static func words(_ range: ClosedRange<Int>) -> String {
    "an integer from \(range.lowerBound) to \(range.upperBound)"
  }

  private static func words(_ range: ClosedRange<Double>) -> String {
    "a number from \(range.lowerBound) to \(range.upperBound)"
  }

  /// A value as it stands in a sentence; arrays and objects by their type, long strings shortened.
  private static func shown(_ value: JSON) -> String {
    switch value {
    case .array, .object: return value.typeName
    case .largeInteger(let digits) where digits.utf8.count > 80:
      return "\(digits.prefix(40))... (an integer of \(digits.utf8.count) characters)"
    case .string(let text) where text.utf8.count > 80:
      return "\(JSON.string(String(String.UnicodeScalarView(text.unicodeScalars.prefix(40)))).text())..."
    default: return value.text()
    }
  }
}
