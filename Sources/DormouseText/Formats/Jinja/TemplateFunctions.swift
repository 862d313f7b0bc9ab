internal import DormouseSupport

/// The functions every template can call.
extension TemplateEvaluator {
  func call(_ function: TemplateFunction, _ arguments: TemplateCallArguments) throws(Failure) -> TemplateValue {
    switch function {
    case .range: return try makeRange(arguments)
    case .dict: return .dictionary(try .make(try members(arguments, of: "dict")))
    case .namespace: return try makeNamespace(arguments)
    case .joiner:
      let separator = try arguments.bind(["sep"], of: "joiner")[0]
      return add(.joiner(TemplateCycler([separator ?? .markup(", ")])))
    case .cycler:
      guard !arguments.positional.isEmpty else { throw failure("at least one item has to be provided to cycler") }
      return add(.cycler(TemplateCycler(arguments.positional)))
    case .raiseException:
      let message = try arguments.bind(["message"], of: "raise_exception")[0] ?? .emptyText
      isRaised = true
      throw failure("chat template: \(try text(of: message).string)")
    case .strftimeNow:
      guard case .text(let format)? = try arguments.bind(["format"], of: "strftime_now")[0] else {
        throw failure("strftime_now() needs a format")
      }
      try budget.spend(TemplateClock.cost)
      return .text(TemplateText(try TemplateClock.now(format.string), isMarkup: format.isMarkup(at: 0)))
    }
  }

  private func makeRange(_ arguments: TemplateCallArguments) throws(Failure) -> TemplateValue {
    guard arguments.keywords.isEmpty, (1...3).contains(arguments.positional.count) else {
      throw failure("range() takes 1 to 3 arguments by position")
    }
    var bounds: [Int] = []
    for value in arguments.positional {
      if value.isLargeInteger { throw TemplateLargeInteger.tooLarge }
      guard let number = value.integerValue else {
        throw failure("'\(typeName(of: value))' object cannot be interpreted as an integer")
      }
      bounds.append(number)
    }
    let start = bounds.count > 1 ? bounds[0] : 0
    let stop = bounds.count > 1 ? bounds[1] : bounds[0]
    let step = bounds.count > 2 ? bounds[2] : 1
    guard step != 0 else { throw failure("range() arg 3 must not be zero") }
    let limit = budget.limits.rangeCount
    var items: [TemplateValue] = []
    var next = start
    while step > 0 ? next < stop : next > stop {
      guard items.count < limit else {
        throw Failure(.malformed, "range too big: more than \(limit) items")
      }
      try budget.spend(TemplateBudget.element)
      items.append(.integer(next))
      let (sum, overflow) = next.addingReportingOverflow(step)
      if overflow { break }
      next = sum
    }
    return .sequence(try TemplateSequence(items, .range(start: start, stop: stop, step: step)))
  }

  /// The members that `dict(...)` or `namespace(...)` would have: of a mapping or pairs, then the keywords.
  private func members(
    _ arguments: TemplateCallArguments, of function: String
  ) throws(Failure) -> [(key: TemplateValue, value: TemplateValue)] {
    var result: [(key: TemplateValue, value: TemplateValue)] = []
    guard arguments.positional.count <= 1 else { throw failure("\(function)() takes at most 1 argument by position") }
    if case .dictionary(let dictionary)? = arguments.positional.first {
      result = dictionary.members
    } else if let first = arguments.positional.first {
      for pair in try items(of: first) {
        let parts = try items(of: pair)
        guard parts.count == 2 else { throw failure("\(function)() needs pairs, got \(parts.count) values") }
        result.append((parts[0], parts[1]))
      }
    }
    try budget.spendProduct(result.count, 4, isText: false)
    for (key, _) in result { try budget.spendKey(key) }
    return result + arguments.keywords.map { (key: .markup($0.name), value: $0.value) }
  }

  private func makeNamespace(_ arguments: TemplateCallArguments) throws(Failure) -> TemplateValue {
    let namespace = TemplateNamespace()
    for (key, value) in try members(arguments, of: "namespace") {
      guard case .text(let name) = key else { throw failure("the names of a namespace must be strings") }
      try namespace.set(name, value)
    }
    return add(.namespace(namespace))
  }
}
