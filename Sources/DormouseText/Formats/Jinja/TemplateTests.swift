internal import DormouseSupport

/// The tests of jinja2 (`value is name`).
extension TemplateEvaluator {
  func passes(
    _ test: TemplateTest, _ value: TemplateValue, _ arguments: TemplateCallArguments
  ) throws(Failure) -> Bool {
    if let relation = TemplateEvaluator.relation(test) {
      guard let other = try arguments.bind(["other"], of: test.rawValue)[0] else {
        throw failure("the test '\(test.rawValue)' needs a value to compare with")
      }
      return try holds(relation, value, other)
    }
    switch test {
    case .divisibleby, .sameas:
      guard let other = try arguments.bind([test == .sameas ? "other" : "num"], of: test.rawValue)[0] else {
        throw failure("the test '\(test.rawValue)' needs a value")
      }
      if test == .sameas { return try isSame(value, other) }
      return try equal(try calculate(.remainder, value, other), .integer(0))
    default:
      _ = try arguments.bind([], of: test.rawValue)
      return try passes(test, value)
    }
  }

  private static func relation(_ test: TemplateTest) -> TemplateRelation? {
    switch test {
    case .eq, .equalto, .equalSign: .equal
    case .ne, .notEqualSign: .notEqual
    case .lt, .lessthan, .lessSign: .less
    case .le, .lessEqualSign: .lessOrEqual
    case .gt, .greaterthan, .greaterSign: .greater
    case .ge, .greaterEqualSign: .greaterOrEqual
    case .in: .contained
    default: nil
    }
  }

  private func isSame(_ value: TemplateValue, _ other: TemplateValue) throws(Failure) -> Bool {
    switch (value, other) {
    case (.sequence(let left), .sequence(let right)): left === right
    case (.dictionary(let left), .dictionary(let right)): left === right
    case (.undefined(let left), .undefined(let right)): left === right
    case (.bool, .bool), (.integer, .integer), (.float, .float): try equal(value, other)
    case (.bool, _), (_, .bool), (.float, _), (_, .float): false
    default: try equal(value, other)
    }
  }

  private func passes(_ test: TemplateTest, _ value: TemplateValue) throws(Failure) -> Bool {
    switch test {
    case .defined: return !value.isUndefined
    case .undefined: return value.isUndefined
    case .none: return value.isNone
    case .boolean: if case .bool = value { return true }
    case .true: if case .bool(true) = value { return true }
    case .false: if case .bool(false) = value { return true }
    case .integer:
      if case .integer = value { return true }
      return value.isLargeInteger
    case .float: if case .float = value { return true }
    case .number: return value.number != nil || value.isLargeInteger
    case .escaped: return value.textValue?.isSafe == true
    case .string: return value.textValue != nil
    case .mapping: if case .dictionary = value { return true }
    case .sequence: return isSequence(value)
    case .iterable: return isIterable(value)
    case .callable: return isCallable(value)
    case .odd, .even:
      return try equal(try calculate(.remainder, value, .integer(2)), .integer(test == .odd ? 1 : 0))
    case .upper, .lower:
      let text = try text(of: value)
      try budget.spend(text.count * TemplateBudget.mapped)
      return test == .upper ? text.isUppercase : text.isLowercase
    case .filter, .test:
      try budget.spendKey(value)
      return isKnown(test, value)
    default: return false
    }
    return false
  }

  /// Whether `value` is the name of a filter or a test.
  private func isKnown(_ test: TemplateTest, _ value: TemplateValue) -> Bool {
    guard let name = value.textValue?.string else { return false }
    return test == .filter ? TemplateFilter(rawValue: name) != nil : TemplateTest(rawValue: name) != nil
  }

  private func isSequence(_ value: TemplateValue) -> Bool {
    switch value {
    case .undefined, .text, .dictionary: true
    case .sequence(let sequence): sequence.kind.isSequence
    default: false
    }
  }

  private func isIterable(_ value: TemplateValue) -> Bool {
    switch value {
    case .undefined, .text, .dictionary, .sequence: return true
    case .object(let number):
      switch objects[number] {
      case .generator, .loop: return true
      default: return false
      }
    default: return false
    }
  }

  private func isCallable(_ value: TemplateValue) -> Bool {
    switch value {
    case .function, .method, .undefined: return true
    case .object(let number):
      switch objects[number] {
      case .macro, .joiner, .loop: return true
      default: return false
      }
    default: return false
    }
  }
}
