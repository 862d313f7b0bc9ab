/// Reads a JSON object that a caller gave, field by field: each one checked for type and range, and in the end for
/// members that nobody asked for.
public struct JSONFields {
  private let object: JSONObject
  /// What the object is, for messages.
  private let name: String
  /// The status of failures: the caller's mistake, or a file's.
  private let status: Status
  private var known: Set<String> = []

  public init(_ value: JSON, name: String, status: Status = .invalidArgument) throws(Failure) {
    guard let object = value.objectValue else {
      throw Failure(status, "\(name) must be a JSON object, not \(value.typeName)")
    }
    self.object = object
    self.name = name
    self.status = status
  }

  /// The member as it stands; nil when it is missing or null.
  public mutating func value(_ key: String) -> JSON? {
    known.insert(key)
    guard let value = object[key], !value.isNull else { return nil }
    return value
  }

  public mutating func boolean(_ key: String) throws(Failure) -> Bool? {
    guard let value = value(key) else { return nil }
    guard let result = value.boolValue else { throw wrong(key, value, "true or false") }
    return result
  }

  public mutating func integer(_ key: String, in range: ClosedRange<Int64>) throws(Failure) -> Int64? {
    guard let value = value(key) else { return nil }
    guard let result = value.integerValue, range.contains(result) else {
      throw wrong(key, value, "an integer from \(range.lowerBound) to \(range.upperBound)")
    }
    return result
  }

  public mutating func number(_ key: String, in range: ClosedRange<Double>, not excluded: Double? = nil) throws(Failure)
    -> Float?
  {
    guard let value = value(key) else { return nil }
    guard let result = value.doubleValue, range.contains(result), result != excluded else {
      let exception = excluded.map { " except \($0)" } ?? ""
      throw wrong(key, value, "a number from \(range.lowerBound) to \(range.upperBound)\(exception)")
    }
    return Float(result)
  }

  public mutating func string(_ key: String) throws(Failure) -> String? {
    guard let value = value(key) else { return nil }
    guard let result = value.stringValue else { throw wrong(key, value, "a string") }
    return result
  }

  /// A string, or an array of strings.
  public mutating func strings(_ key: String) throws(Failure) -> [String]? {
    guard let value = value(key) else { return nil }
    if let single = value.stringValue { return [single] }
    guard let values = value.arrayValue else { throw wrong(key, value, "a string or an array of strings") }
    var result: [String] = []
    for element in values {
      guard let string = element.stringValue else { throw wrong(key, element, "a string or an array of strings") }
      result.append(string)
    }
    return result
  }

  /// Throws when the object has a member that was never asked for.
  public func refuseUnknown() throws(Failure) {
    for key in object.keys where !known.contains(key) {
      let names = known.sorted().joined(separator: ", ")
      throw Failure(status, "\(name) has an unknown member '\(key)'; known are: \(names)")
    }
  }

  public func wrong(_ key: String, _ value: JSON, _ expected: String) -> Failure {
    Failure(status, "\(name): '\(key)' must be \(expected), not \(JSONFields.excerpt(value))")
  }

  /// A value as it goes into a message: short.
  static func excerpt(_ value: JSON) -> String {
    let text = value.text()
    return text.count > 60 ? text.prefix(57) + "..." : text
  }
}
