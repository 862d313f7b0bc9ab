internal import DormouseSupport

/// Expressions.
extension TemplateEvaluator {
  func evaluate(_ expression: TemplateExpression, _ scope: TemplateScope) throws(Failure) -> TemplateValue {
    switch expression.kind {
    case .none: .none
    case .bool(let value): .bool(value)
    case .integer(let value): .integer(value)
    case .float(let value): .float(value)
    case .text(let text): .text(text)
    case .name(let name): try lookUp(name, scope)
    case .captured: captured
    default: try nested { () throws(Failure) in try evaluateInner(expression, scope) }
    }
  }

  private func evaluateInner(
    _ expression: TemplateExpression, _ scope: TemplateScope
  ) throws(Failure) -> TemplateValue {
    switch expression.kind {
    case .list(let items): return try .list(try evaluate(items, scope))
    case .tuple(let items): return try .tuple(try evaluate(items, scope))
    case .dictionary(let members): return try evaluateDictionary(members, scope)
    case .attribute(let base, let name): return try evaluateAttribute(base, name, expression.line, scope)
    case .item(let base, let key): return try evaluateItem(base, key, expression.line, scope)
    case .slice(let base, let slice): return try evaluateSlice(base, slice, expression.line, scope)
    case .call(let callee, let arguments): return try evaluateCall(callee, arguments, expression.line, scope)
    case .filter(let base, let filter, let arguments):
      let value = try evaluate(base, scope)
      let arguments = try evaluate(arguments, scope)
      line = expression.line
      return try apply(filter, value, arguments)
    case .missing(let sentence):
      line = expression.line
      throw Failure(.unsupported, sentence)
    case .test(let base, let test, let arguments):
      let value = try evaluate(base, scope)
      let arguments = try evaluate(arguments, scope)
      line = expression.line
      return .bool(try passes(test, value, arguments))
    default: return try evaluateOperation(expression, scope)
    }
  }

  private func evaluateOperation(
    _ expression: TemplateExpression, _ scope: TemplateScope
  ) throws(Failure) -> TemplateValue {
    switch expression.kind {
    case .not(let operand): return .bool(!isTrue(try evaluate(operand, scope)))
    case .negative(let operand): return try sign(try evaluate(operand, scope), isNegative: true)
    case .positive(let operand): return try sign(try evaluate(operand, scope), isNegative: false)
    case .arithmetic(let operation, let left, let right):
      let first = try evaluate(left, scope)
      let second = try evaluate(right, scope)
      line = expression.line
      return try calculate(operation, first, second)
    case .and(let left, let right):
      let first = try evaluate(left, scope)
      return isTrue(first) ? try evaluate(right, scope) : first
    case .or(let left, let right):
      let first = try evaluate(left, scope)
      return isTrue(first) ? first : try evaluate(right, scope)
    case .concatenation(let parts): return try evaluateConcatenation(parts, scope)
    case .comparison(let first, let rest): return try evaluateComparison(first, rest, scope)
    case .conditional(let test, let then, let otherwise):
      if isTrue(try evaluate(test, scope)) { return try evaluate(then, scope) }
      if let otherwise { return try evaluate(otherwise, scope) }
      return .undefined(TemplateUndefined("the inline if-expression was false and has no else part"))
    default: return .none
    }
  }

  private func evaluate(
    _ expressions: [TemplateExpression], _ scope: TemplateScope
  ) throws(Failure) -> [TemplateValue] {
    if !expressions.isEmpty { try budget.spend(expressions.count * TemplateBudget.element) }
    var result: [TemplateValue] = []
    result.reserveCapacity(expressions.count)
    for expression in expressions { result.append(try evaluate(expression, scope)) }
    return result
  }

  private func evaluateDictionary(
    _ members: [(key: TemplateExpression, value: TemplateExpression)], _ scope: TemplateScope
  ) throws(Failure) -> TemplateValue {
    var result: [(key: TemplateValue, value: TemplateValue)] = []
    for (key, value) in members {
      try budget.spend(TemplateBudget.step)
      result.append((try evaluate(key, scope), try evaluate(value, scope)))
      try budget.spendKey(result[result.count - 1].key)
    }
    return .dictionary(try .make(result))
  }

  private func evaluateConcatenation(
    _ parts: [TemplateExpression], _ scope: TemplateScope
  ) throws(Failure) -> TemplateValue {
    var builder = TemplateTextBuilder()
    for part in parts {
      let text = try text(of: try evaluate(part, scope))
      try budget.checkLength(builder.count + text.count)
      try budget.spend(text.count)
      builder.append(text)
    }
    return .text(builder.text)
  }

  private func evaluateComparison(
    _ first: TemplateExpression, _ rest: [(operation: TemplateRelation, operand: TemplateExpression)],
    _ scope: TemplateScope
  ) throws(Failure) -> TemplateValue {
    var left = try evaluate(first, scope)
    for (operation, operand) in rest {
      let right = try evaluate(operand, scope)
      guard try holds(operation, left, right) else { return .bool(false) }
      left = right
    }
    return .bool(true)
  }

  func evaluate(_ arguments: TemplateArguments, _ scope: TemplateScope) throws(Failure) -> TemplateCallArguments {
    var result = TemplateCallArguments(positional: try evaluate(arguments.positional, scope))
    for (name, value) in arguments.keywords { result.keywords.append((name, try evaluate(value, scope))) }
    if let spread = arguments.spread {
      let items = try items(of: try evaluate(spread, scope))
      try budget.spendProduct(items.count, 1, isText: false)
      result.positional += items
    }
    guard let keywordSpread = arguments.keywordSpread else { return result }
    guard case .dictionary(let dictionary) = try evaluate(keywordSpread, scope) else {
      throw failure("the argument after ** must be a mapping")
    }
    for (key, value) in dictionary.members {
      guard case .text(let name) = key else { throw failure("keywords must be strings") }
      try budget.spendKey(key)
      try budget.spend(result.keywords.count * TemplateBudget.wanted)
      guard !result.keywords.contains(where: { name.equals($0.name) }) else {
        throw failure("the keyword argument '\(name.string)' is repeated")
      }
      result.keywords.append((name.string, value))
    }
    return result
  }

  // MARK: Members

  private func evaluateAttribute(
    _ base: TemplateExpression, _ name: TemplateText, _ line: Int, _ scope: TemplateScope
  ) throws(Failure) -> TemplateValue {
    let value = try evaluate(base, scope)
    self.line = line
    return try attribute(name, of: value)
  }

  private func evaluateItem(
    _ base: TemplateExpression, _ key: TemplateExpression, _ line: Int, _ scope: TemplateScope
  ) throws(Failure) -> TemplateValue {
    let value = try evaluate(base, scope)
    let key = try evaluate(key, scope)
    self.line = line
    return try item(key, of: value)
  }

  private func evaluateCall(
    _ callee: TemplateExpression, _ arguments: TemplateArguments, _ line: Int, _ scope: TemplateScope
  ) throws(Failure) -> TemplateValue {
    let function = try evaluate(callee, scope)
    let arguments = try evaluate(arguments, scope)
    self.line = line
    return try call(function, arguments)
  }

  private func evaluateSlice(
    _ base: TemplateExpression, _ slice: TemplateSlice, _ line: Int, _ scope: TemplateScope
  ) throws(Failure) -> TemplateValue {
    let value = try evaluate(base, scope)
    let start = try slice.start.map { (part) throws(Failure) in try evaluate(part, scope) }
    let stop = try slice.stop.map { (part) throws(Failure) in try evaluate(part, scope) }
    let step = try slice.step.map { (part) throws(Failure) in try evaluate(part, scope) }
    self.line = line
    return try self.slice(value, bound(start), bound(stop), bound(step))
  }

  private func bound(_ value: TemplateValue?) throws(Failure) -> Int? {
    guard let value, !value.isNone else { return nil }
    if value.isLargeInteger { throw TemplateLargeInteger.tooLarge }
    guard let number = value.integerValue else {
      throw failure("slice indices must be integers or None, not \(typeName(of: value))")
    }
    return number
  }

  /// `value[start:stop:step]` as Python has it; undefined for what cannot be sliced.
  private func slice(
    _ value: TemplateValue, _ start: Int?, _ stop: Int?, _ step: Int?
  ) throws(Failure) -> TemplateValue {
    switch value {
    case .text(let text):
      let positions = try TemplateEvaluator.positions(text.count, start, stop, step)
      guard step ?? 1 != 1 else {
        let part = text.slice(positions.first..<positions.first + positions.count)
        return .text(part.marked(safe: text.isSafe))
      }
      try budget.spendText(positions.count)
      try budget.spend(positions.count * TemplateBudget.examined)
      var builder = TemplateTextBuilder()
      for index in 0..<positions.count {
        let position = positions.first + index * positions.step
        builder.append(text[position], isMarkup: text.isMarkup(at: position))
      }
      return .text(builder.text.marked(safe: text.isSafe))
    case .sequence(let sequence) where sequence.kind.isSequence:
      let positions = try TemplateEvaluator.positions(sequence.items.count, start, stop, step)
      try budget.spend(positions.count * TemplateBudget.element)
      let items = (0..<positions.count).map { sequence.items[positions.first + $0 * positions.step] }
      return .sequence(try TemplateSequence(items, sequence.kind == .tuple ? .tuple : .list))
    case .undefined(let undefined): throw failure(undefined.message)
    default: return .undefined(TemplateUndefined("'\(typeName(of: value))' object cannot be sliced"))
    }
  }

  /// The positions a slice takes from `count` items (CPython's `PySlice_AdjustIndices`).
  private static func positions(
    _ count: Int, _ start: Int?, _ stop: Int?, _ step: Int?
  ) throws(Failure) -> (first: Int, count: Int, step: Int) {
    let step = step ?? 1
    guard step != 0 else { throw Failure(.invalidArgument, "slice step cannot be zero") }
    let lowest = step > 0 ? 0 : -1
    let highest = step > 0 ? count : count - 1
    func adjust(_ bound: Int?, _ missing: Int) -> Int {
      guard let bound else { return missing }
      return bound < 0 ? (bound < -count ? lowest : max(bound + count, lowest)) : min(bound, highest)
    }
    let first = adjust(start, step > 0 ? lowest : highest)
    let last = adjust(stop, step > 0 ? highest : lowest)
    let distance = step > 0 ? last - first : first - last
    guard distance > 0 else { return (max(first, 0), 0, step) }
    let stride = step == .min ? Int.max : abs(step)
    return (first, (distance - 1) / stride + 1, step)
  }
}
