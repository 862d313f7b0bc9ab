internal import DormouseSupport

/// A value of a running template: what Python holds in the reference.
///
/// Values never change and never form cycles; whatever can change (namespaces, loops, generators) and whatever holds
/// scopes (macros) lives in the evaluator and is named here by its number.
enum TemplateValue: Sendable {
  case undefined(TemplateUndefined)
  case none
  case bool(Bool)
  case integer(Int)
  /// One beyond 64 bits: it can be compared and printed, and not calculated with.
  case largeInteger(TemplateLargeInteger)
  case float(Double)
  case text(TemplateText)
  case sequence(TemplateSequence)
  case dictionary(TemplateDictionary)
  case object(Int)
  case function(TemplateFunction)
  case method(TemplateMethod)

  static let emptyText = TemplateValue.text(.empty)

  static func undefined(named name: String) -> TemplateValue {
    .undefined(TemplateUndefined("'\(name)' is undefined"))
  }

  /// A text of the template itself.
  static func markup(_ string: String) -> TemplateValue { .text(TemplateText(string, isMarkup: true)) }

  static func list(_ items: [TemplateValue]) throws(Failure) -> TemplateValue {
    .sequence(try TemplateSequence(items, .list))
  }

  static func tuple(_ items: [TemplateValue]) throws(Failure) -> TemplateValue {
    .sequence(try TemplateSequence(items, .tuple))
  }

  var isUndefined: Bool { if case .undefined = self { true } else { false } }
  var isNone: Bool { if case .none = self { true } else { false } }
  var textValue: TemplateText? { if case .text(let text) = self { text } else { nil } }

  /// The value of an integer or, as in Python, a boolean.
  var integerValue: Int? {
    switch self {
    case .integer(let value): value
    case .bool(let value): value ? 1 : 0
    default: nil
    }
  }

  /// The value of any number; nil for an integer beyond all floats.
  var number: Double? {
    switch self {
    case .float(let value): value
    case .largeInteger(let value): value.number
    default: integerValue.map(Double.init)
    }
  }

  var isLargeInteger: Bool { if case .largeInteger = self { true } else { false } }
  var isFloat: Bool { if case .float = self { true } else { false } }

  /// How deep values lie in this one; 0 for what holds none.
  var depth: Int {
    switch self {
    case .sequence(let sequence): sequence.depth
    case .dictionary(let dictionary): dictionary.depth
    case .method(let method): method.depth
    default: 0
    }
  }

  /// What a look at the whole value costs, in the budget's units. Values share parts, so a few steps can make one that
  /// would take forever to walk; hence the weight of parts is summed when a value is made, and saturates.
  var weight: Int {
    switch self {
    case .text(let text): TemplateBudget.element + text.count / 2
    case .largeInteger(let value): TemplateBudget.element + value.digits.utf8.count / 2
    case .sequence(let sequence): sequence.weight
    case .dictionary(let dictionary): dictionary.weight
    default: TemplateBudget.element
    }
  }

  /// The weight of a value with these parts.
  static func weight(of parts: [TemplateValue]) -> Int {
    parts.reduce(TemplateBudget.element) { min($0 + $1.weight, heaviest) }
  }

  private static let heaviest = 1 << 40

  /// The name of the type in Python.
  var typeName: String {
    switch self {
    case .undefined: "Undefined"
    case .none: "NoneType"
    case .bool: "bool"
    case .integer, .largeInteger: "int"
    case .float: "float"
    case .text: "str"
    case .sequence(let sequence): sequence.kind.typeName
    case .dictionary: "dict"
    case .object: "object"
    case .function: "function"
    case .method: "method"
    }
  }
}

/// What a missing name or member is; it prints as nothing and fails in any other use.
final class TemplateUndefined: Sendable {
  /// The sentence of that failure.
  let message: String

  init(_ message: String) { self.message = message }
}

/// A list, a tuple, a range or a view of a dictionary.
final class TemplateSequence: Sendable {
  enum Kind: Sendable, Equatable {
    case list, tuple, keys, values, items
    case range(start: Int, stop: Int, step: Int)

    var typeName: String {
      switch self {
      case .list: "list"
      case .tuple: "tuple"
      case .keys: "dict_keys"
      case .values: "dict_values"
      case .items: "dict_items"
      case .range: "range"
      }
    }

    /// Whether it has members by number.
    var isSequence: Bool {
      switch self {
      case .list, .tuple, .range: true
      case .keys, .values, .items: false
      }
    }
  }

  let items: [TemplateValue]
  let kind: Kind
  let depth: Int
  let weight: Int

  init(_ items: [TemplateValue], _ kind: Kind) throws(Failure) {
    self.items = items
    self.kind = kind
    depth = try TemplateSequence.depth(of: items)
    weight = TemplateValue.weight(of: items)
  }

  static func depth(of items: [TemplateValue]) throws(Failure) -> Int {
    var deepest = 0
    for item in items { deepest = max(deepest, item.depth) }
    let limit = TemplateLimits().valueDepth
    guard deepest < limit else { throw Failure(.malformed, "values are nested more than \(limit) deep") }
    return deepest + 1
  }
}

/// A mapping that keeps the order of insertion.
final class TemplateDictionary: Sendable {
  let keys: [TemplateValue]
  let values: [TemplateValue]
  let depth: Int
  let weight: Int
  private let index: [TemplateKey: Int]

  static func make(_ members: [(key: TemplateValue, value: TemplateValue)]) throws(Failure) -> TemplateDictionary {
    var keys: [TemplateValue] = []
    var values: [TemplateValue] = []
    var index: [TemplateKey: Int] = [:]
    for (key, value) in members {
      let hashed = try TemplateKey(key)
      if let position = index[hashed] {
        values[position] = value
      } else {
        index[hashed] = keys.count
        keys.append(key)
        values.append(value)
      }
    }
    let depth = max(try TemplateSequence.depth(of: keys), try TemplateSequence.depth(of: values))
    return TemplateDictionary(keys: keys, values: values, depth: depth, index: index)
  }

  private init(keys: [TemplateValue], values: [TemplateValue], depth: Int, index: [TemplateKey: Int]) {
    self.keys = keys
    self.values = values
    self.depth = depth
    weight = TemplateValue.weight(of: keys + values)
    self.index = index
  }

  var count: Int { keys.count }

  /// Nil for a missing key.
  /// - Throws: when the key is of a type that Python cannot hash.
  func value(for key: TemplateValue) throws(Failure) -> TemplateValue? {
    guard let position = index[try TemplateKey(key)] else { return nil }
    return values[position]
  }

  func value(for key: TemplateKey) -> TemplateValue? { index[key].map { values[$0] } }

  func value(for key: TemplateText) -> TemplateValue? { index[TemplateKey(key)].map { values[$0] } }

  var members: [(key: TemplateValue, value: TemplateValue)] {
    zip(keys, values).map { (key: $0, value: $1) }
  }

  /// The pairs of key and value as tuples.
  func items() throws(Failure) -> [TemplateValue] {
    var result: [TemplateValue] = []
    result.reserveCapacity(count)
    for position in keys.indices { result.append(try .tuple([keys[position], values[position]])) }
    return result
  }
}

/// A value as the key of a dictionary: numbers of equal value are one key, as in Python.
struct TemplateKey: Hashable {
  private let value: TemplateValue

  /// Units that hashing a key may cost; texts are not held to it.
  private static let heaviest = 1 << 14

  init(_ value: TemplateValue) throws(Failure) {
    self.value = value
    if case .sequence(let sequence) = value, sequence.weight > TemplateKey.heaviest {
      throw Failure(.malformed, "a \(value.typeName) of this size can't be a key")
    }
    guard TemplateKey.canHash(value) else {
      throw Failure(.invalidArgument, "unhashable type: '\(value.typeName)'")
    }
  }

  init(_ text: TemplateText) { value = .text(text) }

  private static func canHash(_ value: TemplateValue) -> Bool {
    switch value {
    case .dictionary: false
    case .sequence(let sequence): sequence.kind == .tuple && sequence.items.allSatisfy(canHash)
    default: true
    }
  }

  static func == (left: TemplateKey, right: TemplateKey) -> Bool { left.value.equals(right.value) }

  func hash(into hasher: inout Hasher) { TemplateKey.hash(value, into: &hasher) }

  private static func hash(_ value: TemplateValue, into hasher: inout Hasher) {
    switch value {
    case .bool, .integer, .largeInteger, .float: hasher.combine(value.number ?? 0)
    case .text(let text): hasher.combine(text)
    case .sequence(let sequence): for item in sequence.items { hash(item, into: &hasher) }
    case .object(let number): hasher.combine(number)
    default: break
    }
  }
}

/// A function of a value, looked up but not yet called.
final class TemplateMethod: Sendable {
  let receiver: TemplateValue
  let name: String
  let depth: Int

  init(_ receiver: TemplateValue, _ name: String) throws(Failure) {
    self.receiver = receiver
    self.name = name
    depth = try TemplateSequence.depth(of: [receiver])
  }
}

/// The functions every template can call.
enum TemplateFunction: String, Sendable, CaseIterable {
  case range, dict, namespace, joiner, cycler
  case raiseException = "raise_exception"
  case strftimeNow = "strftime_now"
}
