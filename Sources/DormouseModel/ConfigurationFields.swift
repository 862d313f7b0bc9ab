import DormouseSupport

/// Reads one object of a configuration document field by field; every failure names the file, the field, the value
/// found and what was expected.
struct ConfigurationFields {
  let object: JSONObject
  /// The document, as it stands in front of every sentence.
  let file: String
  /// The path of this object inside the document, with its final dot; empty for the document itself.
  let path: String

  init(_ value: JSON, file: String, path: String = "") throws(Failure) {
    guard case .object(let object) = value else {
      let name = path.isEmpty ? "the document" : String(path.dropLast())
      throw Failure(.malformed, "\(file): \(name) is \(value.typeName); expected an object")
    }
    self.object = object
    self.file = file
    self.path = path
  }

  /// The member called `key`; nil when it is missing or null.
  func value(_ key: String) -> JSON? {
    guard let value = object[key], !value.isNull else { return nil }
    return value
  }

  /// Whether the member stands in the document, null or not.
  func has(_ key: String) -> Bool { object[key] != nil }

  func fields(_ key: String) throws(Failure) -> ConfigurationFields? {
    guard let value = value(key) else { return nil }
    return try ConfigurationFields(value, file: file, path: "\(path)\(key).")
  }

  func integer(_ key: String, _ range: ClosedRange<Int>) throws(Failure) -> Int {
    guard let value = try optionalInteger(key, range) else {
      throw absent(key, expected: ConfigurationFields.words(range))
    }
    return value
  }

  func optionalInteger(_ key: String, _ range: ClosedRange<Int>) throws(Failure) -> Int? {
    guard let value = value(key) else { return nil }
    guard let integer = value.integerValue, let number = Int(exactly: integer), range.contains(number) else {
      throw wrong(key, value, expected: ConfigurationFields.words(range))
    }
    return number
  }

  func number(_ key: String, _ range: ClosedRange<Double>) throws(Failure) -> Double {
    guard let value = try optionalNumber(key, range) else {
      throw absent(key, expected: ConfigurationFields.words(range))
    }
    return value
  }

  func optionalNumber(_ key: String, _ range: ClosedRange<Double>) throws(Failure) -> Double? {
    guard let value = value(key) else { return nil }
    guard let number = value.doubleValue, range.contains(number) else {
      throw wrong(key, value, expected: ConfigurationFields.words(range))
    }
    return number
  }

  func boolean(_ key: String) throws(Failure) -> Bool {
    guard let value = try optionalBoolean(key) else { throw absent(key, expected: "true or false") }
    return value
  }

  func optionalBoolean(_ key: String) throws(Failure) -> Bool? {
    guard let value = value(key) else { return nil }
    guard let boolean = value.boolValue else { throw wrong(key, value, expected: "true or false") }
    return boolean
  }

  func string(_ key: String) throws(Failure) -> String {
    guard let value = try optionalString(key) else { throw absent(key, expected: "a string") }
    return value
  }

  func optionalString(_ key: String) throws(Failure) -> String? {
    guard let value = value(key) else { return nil }
    guard let string = value.stringValue else { throw wrong(key, value, expected: "a string") }
    return string
  }

  func optionalArray(_ key: String) throws(Failure) -> [JSON]? {
    guard let value = value(key) else { return nil }
    guard let array = value.arrayValue else { throw wrong(key, value, expected: "an array") }
    return array
  }

  /// The value is well formed but Dormouse does not have what it asks for.
  func unsupported(_ key: String, _ value: JSON, supported: String) -> Failure {
    let found = ConfigurationFields.shown(value)
    return Failure(.unsupported, "\(file): \(path)\(key) is \(found), which is not supported; supported: \(supported)")
  }

  func wrong(_ key: String, _ value: JSON, expected: String) -> Failure {
    let found = ConfigurationFields.shown(value)
    return Failure(.malformed, "\(file): \(path)\(key) is \(found); expected \(expected)")
  }

  private func absent(_ key: String, expected: String) -> Failure {
    let what = has(key) ? "null" : "missing"
    return Failure(.malformed, "\(file): \(path)\(key) is \(what); expected \(expected)")
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
    case .string(let text) where text.utf8.count > 80:
      return "\(JSON.string(String(String.UnicodeScalarView(text.unicodeScalars.prefix(40)))).text())..."
    default: return value.text()
    }
  }
}
