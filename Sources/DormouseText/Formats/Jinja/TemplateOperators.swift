internal import DormouseSupport
import Glibc

/// Arithmetic, comparison and membership, as Python has them.
extension TemplateEvaluator {
  func isTrue(_ value: TemplateValue) -> Bool {
    switch value {
    case .undefined, .none: false
    case .bool(let value): value
    case .integer(let value): value != 0
    case .largeInteger: true
    case .float(let value): value != 0
    case .text(let text): !text.isEmpty
    case .sequence(let sequence): !sequence.items.isEmpty
    case .dictionary(let dictionary): dictionary.count > 0
    case .object, .function, .method: true
    }
  }

  func typeName(of value: TemplateValue) -> String {
    if case .object(let number) = value { objects[number].typeName } else { value.typeName }
  }

  private func requireDefined(_ values: TemplateValue...) throws(Failure) {
    for case .undefined(let undefined) in values { throw failure(undefined.message) }
  }

  func sign(_ value: TemplateValue, isNegative: Bool) throws(Failure) -> TemplateValue {
    try requireDefined(value)
    if case .float(let number) = value { return .float(isNegative ? -number : number) }
    if case .largeInteger(let number) = value { return isNegative ? number.negated() : value }
    guard let number = value.integerValue else {
      throw failure("bad operand type for unary \(isNegative ? "-" : "+"): '\(typeName(of: value))'")
    }
    return isNegative ? try whole(number.multipliedReportingOverflow(by: -1)) : .integer(number)
  }

  /// Python's integers have no bounds; ours end at 64 bits, and say so.
  private func whole(_ result: (partialValue: Int, overflow: Bool)) throws(Failure) -> TemplateValue {
    guard !result.overflow else { throw TemplateLargeInteger.tooLarge }
    return .integer(result.partialValue)
  }

  func calculate(
    _ operation: TemplateOperator, _ left: TemplateValue, _ right: TemplateValue
  ) throws(Failure) -> TemplateValue {
    if operation == .remainder, case .text(let format) = left { return .text(try self.format(format, percent: right)) }
    try requireDefined(left, right)
    if left.isLargeInteger || right.isLargeInteger, !left.isFloat, !right.isFloat,
      operation == .multiply || (left.number != nil && right.number != nil)
    {
      throw TemplateLargeInteger.tooLarge
    }
    if let first = left.integerValue, let second = right.integerValue {
      return try calculateWhole(operation, first, second)
    }
    if let first = left.number, let second = right.number { return try calculateFloat(operation, first, second) }
    if operation == .add, let sum = try concatenate(left, right) { return sum }
    if operation == .multiply {
      if let count = right.integerValue, let product = try repeated(left, count) { return product }
      if let count = left.integerValue, let product = try repeated(right, count) { return product }
    }
    if operation == .add, case .text = left {
      throw failure("can only concatenate str (not \"\(typeName(of: right))\") to str")
    }
    throw failure(
      "unsupported operand type(s) for \(operation.rawValue): '\(typeName(of: left))' and '\(typeName(of: right))'")
  }

  private func calculateWhole(_ operation: TemplateOperator, _ left: Int, _ right: Int) throws(Failure) -> TemplateValue
  {
    switch operation {
    case .add: return try whole(left.addingReportingOverflow(right))
    case .subtract: return try whole(left.subtractingReportingOverflow(right))
    case .multiply: return try whole(left.multipliedReportingOverflow(by: right))
    case .divide:
      guard right != 0 else { throw failure("division by zero") }
      return .float(Double(left) / Double(right))
    case .floorDivide:
      guard right != 0 else { throw failure("integer division or modulo by zero") }
      let (quotient, overflow) = left.dividedReportingOverflow(by: right)
      guard !overflow else { return try whole((0, true)) }
      return .integer(left % right != 0 && (left < 0) != (right < 0) ? quotient - 1 : quotient)
    case .remainder:
      guard right != 0 else { throw failure("integer division or modulo by zero") }
      let rest = left.remainderReportingOverflow(dividingBy: right).partialValue
      return .integer(rest != 0 && (rest < 0) != (right < 0) ? rest + right : rest)
    case .power: return try power(left, right)
    }
  }

  private func power(_ base: Int, _ exponent: Int) throws(Failure) -> TemplateValue {
    guard exponent >= 0 else { return try calculateFloat(.power, Double(base), Double(exponent)) }
    if base == 0 || base == 1 || base == -1 {
      return .integer(exponent == 0 ? 1 : base == -1 ? (exponent % 2 == 0 ? 1 : -1) : base)
    }
    var result = 1
    for _ in 0..<min(exponent, 64) {
      guard case .integer(let next) = try whole(result.multipliedReportingOverflow(by: base)) else { break }
      result = next
    }
    return .integer(result)
  }

  private func calculateFloat(
    _ operation: TemplateOperator, _ left: Double, _ right: Double
  ) throws(Failure) -> TemplateValue {
    switch operation {
    case .add: return .float(left + right)
    case .subtract: return .float(left - right)
    case .multiply: return .float(left * right)
    case .power:
      guard left != 0 || right >= 0 else { throw failure("0.0 cannot be raised to a negative power") }
      guard left >= 0 || right == right.rounded() else {
        throw Failure(.unsupported, "a negative number raised to a fraction is complex, which is not supported")
      }
      let result = pow(left, right)
      guard result.isFinite || !left.isFinite || !right.isFinite else { throw failure("the result is too large") }
      return .float(result)
    case .divide, .floorDivide, .remainder:
      guard right != 0 else { throw failure("float division by zero") }
      if operation == .divide { return .float(left / right) }
      var rest = fmod(left, right)
      if rest != 0, (rest < 0) != (right < 0) { rest += right }
      if operation == .remainder { return .float(rest == 0 ? copysign(0, right) : rest) }
      return .float(((left - rest) / right).rounded())
    }
  }

  private func concatenate(_ left: TemplateValue, _ right: TemplateValue) throws(Failure) -> TemplateValue? {
    switch (left, right) {
    case (.text(var first), .text(var second)):
      let isSafe = first.isSafe || second.isSafe
      if isSafe { (first, second) = (try escaped(first), try escaped(second)) }
      try budget.spendText(first.count + second.count)
      var builder = TemplateTextBuilder()
      builder.append(first)
      builder.append(second)
      return .text(builder.text.marked(safe: isSafe))
    case (.sequence(let first), .sequence(let second))
    where first.kind == second.kind && (first.kind == .list || first.kind == .tuple):
      try budget.spendProduct(first.items.count + second.items.count, 1, isText: false)
      return .sequence(try TemplateSequence(first.items + second.items, first.kind))
    default: return nil
    }
  }

  private func repeated(_ value: TemplateValue, _ count: Int) throws(Failure) -> TemplateValue? {
    let count = max(count, 0)
    switch value {
    case .text(let text):
      try budget.spendProduct(text.count, count, isText: true)
      var builder = TemplateTextBuilder()
      if !text.isEmpty { for _ in 0..<count { builder.append(text) } }
      return .text(builder.text.marked(safe: text.isSafe))
    case .sequence(let sequence) where sequence.kind == .list || sequence.kind == .tuple:
      try budget.spendProduct(sequence.items.count, count, isText: false)
      var items: [TemplateValue] = []
      if !sequence.items.isEmpty { for _ in 0..<count { items += sequence.items } }
      return .sequence(try TemplateSequence(items, sequence.kind))
    default: return nil
    }
  }

  // MARK: Comparison

  func holds(
    _ relation: TemplateRelation, _ left: TemplateValue, _ right: TemplateValue
  ) throws(Failure) -> Bool {
    switch relation {
    case .equal: return try equal(left, right)
    case .notEqual: return try !equal(left, right)
    case .less: return try isLess(left, right)
    case .greater: return try isLess(right, left)
    case .lessOrEqual: return try isLess(left, right) ? true : try equal(left, right)
    case .greaterOrEqual: return try isLess(right, left) ? true : try equal(left, right)
    case .contained: return try contains(right, left)
    case .notContained: return try !contains(right, left)
    }
  }

  func equal(_ left: TemplateValue, _ right: TemplateValue) throws(Failure) -> Bool {
    try budget.spend(min(left.weight, right.weight))
    return left.equals(right)
  }

  private func isLess(_ left: TemplateValue, _ right: TemplateValue) throws(Failure) -> Bool {
    try budget.spend(min(left.weight, right.weight))
    return try left.isLess(than: right)
  }

  func contains(_ container: TemplateValue, _ value: TemplateValue) throws(Failure) -> Bool {
    switch container {
    case .text(let text):
      guard case .text(let part) = value else {
        throw failure("'in <string>' requires string as left operand, not \(typeName(of: value))")
      }
      try budget.spend(text.count + part.count * TemplateBudget.wanted)
      return text.firstIndex(of: part, from: 0) != nil
    case .dictionary(let dictionary):
      try budget.spendKey(value)
      return try dictionary.value(for: value) != nil
    default:
      for item in try items(of: container) where try equal(item, value) { return true }
      return false
    }
  }

  /// The items a loop over `value` takes.
  func items(of value: TemplateValue) throws(Failure) -> [TemplateValue] {
    switch value {
    case .undefined: return []
    case .sequence(let sequence): return sequence.items
    case .dictionary(let dictionary): return dictionary.keys
    case .text(let text):
      try budget.spend(text.count * TemplateBudget.element)
      return (0..<text.count).map { .text(text.slice($0..<$0 + 1)) }
    case .object(let number):
      if case .generator(let generator) = objects[number] { return generator.takeAll() }
    default: break
    }
    throw failure("'\(typeName(of: value))' object is not iterable")
  }
}
