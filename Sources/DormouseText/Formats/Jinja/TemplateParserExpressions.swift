internal import DormouseSupport

/// Expressions, by falling precedence of the caller: `x if y else z`, `or`, `and`, `not`, comparisons, `+ -`, `~`,
/// `* / // %`, `**`, signs, then postfixes, filters and tests.
extension TemplateParser {
  typealias Expression = TemplateExpression

  mutating func parseExpression(allowsConditional: Bool = true) throws(Failure) -> Expression {
    let outer = depth
    defer { depth = outer }
    try descend()
    return allowsConditional ? try parseConditional() : try parseOr()
  }

  /// One expression, or a tuple of several with commas between them.
  mutating func parseTuple(
    allowsConditional: Bool = true, end: String? = nil, isInParentheses: Bool = false
  ) throws(Failure) -> Expression {
    let line = line
    var items: [Expression] = []
    var isTuple = false
    while !isTupleEnd(end) {
      items.append(try parseExpression(allowsConditional: allowsConditional))
      guard skipSymbol(",") else { break }
      isTuple = true
    }
    if !isTuple {
      if let first = items.first { return first }
      guard isInParentheses else { throw failure("expected an expression, got \(describe(kind))") }
    }
    return Expression(.tuple(items), line: line)
  }

  private func isTupleEnd(_ end: String?) -> Bool {
    switch kind {
    case .blockEnd, .variableEnd, .symbol(")"): true
    case .name(let name): name == end
    default: false
    }
  }

  private mutating func parseConditional() throws(Failure) -> Expression {
    let outer = depth
    defer { depth = outer }
    var result = try parseOr()
    while kind == .name("if") {
      let line = line
      position += 1
      try descend()
      let test = try parseOr()
      let otherwise = skipName("else") ? try parseConditional() : nil
      result = Expression(.conditional(test: test, then: result, otherwise: otherwise), line: line)
    }
    return result
  }

  private mutating func parseOr() throws(Failure) -> Expression {
    let outer = depth
    defer { depth = outer }
    var result = try parseAnd()
    while skipName("or") {
      try descend()
      result = Expression(.or(result, try parseAnd()), line: line)
    }
    return result
  }

  private mutating func parseAnd() throws(Failure) -> Expression {
    let outer = depth
    defer { depth = outer }
    var result = try parseNot()
    while skipName("and") {
      try descend()
      result = Expression(.and(result, try parseNot()), line: line)
    }
    return result
  }

  private mutating func parseNot() throws(Failure) -> Expression {
    let line = line
    guard skipName("not") else { return try parseComparison() }
    let outer = depth
    defer { depth = outer }
    try descend()
    return Expression(.not(try parseNot()), line: line)
  }

  private mutating func parseComparison() throws(Failure) -> Expression {
    let line = line
    let first = try parseSum()
    var rest: [(operation: TemplateRelation, operand: Expression)] = []
    while let relation = parseRelation() { rest.append((relation, try parseSum())) }
    return rest.isEmpty ? first : Expression(.comparison(first, rest), line: line)
  }

  private mutating func parseRelation() -> TemplateRelation? {
    if case .symbol(let symbol) = kind, let relation = TemplateRelation(rawValue: symbol) {
      position += 1
      return relation
    }
    if skipName("in") { return .contained }
    guard kind == .name("not"), kind(after: 1) == .name("in") else { return nil }
    position += 2
    return .notContained
  }

  private mutating func parseSum() throws(Failure) -> Expression {
    let outer = depth
    defer { depth = outer }
    var result = try parseConcatenation()
    while let operation = parseOperator("+", "-") {
      let line = line
      try descend()
      result = Expression(.arithmetic(operation, result, try parseConcatenation()), line: line)
    }
    return result
  }

  private mutating func parseOperator(_ symbols: String...) -> TemplateOperator? {
    guard case .symbol(let symbol) = kind, symbols.contains(symbol) else { return nil }
    position += 1
    return TemplateOperator(rawValue: symbol)
  }

  private mutating func parseConcatenation() throws(Failure) -> Expression {
    let line = line
    var parts = [try parseProduct()]
    while skipSymbol("~") { parts.append(try parseProduct()) }
    return parts.count == 1 ? parts[0] : Expression(.concatenation(parts), line: line)
  }

  private mutating func parseProduct() throws(Failure) -> Expression {
    let outer = depth
    defer { depth = outer }
    var result = try parsePower()
    while let operation = parseOperator("*", "/", "//", "%") {
      let line = line
      try descend()
      result = Expression(.arithmetic(operation, result, try parsePower()), line: line)
    }
    return result
  }

  private mutating func parsePower() throws(Failure) -> Expression {
    let outer = depth
    defer { depth = outer }
    var result = try parseUnary(allowsFilters: true)
    while parseOperator("**") != nil {
      let line = line
      try descend()
      result = Expression(.arithmetic(.power, result, try parseUnary(allowsFilters: true)), line: line)
    }
    return result
  }

  private mutating func parseUnary(allowsFilters: Bool) throws(Failure) -> Expression {
    let outer = depth
    defer { depth = outer }
    try descend()
    let line = line
    var result: Expression
    if skipSymbol("-") {
      result = Expression(.negative(try parseUnary(allowsFilters: false)), line: line)
    } else if skipSymbol("+") {
      result = Expression(.positive(try parseUnary(allowsFilters: false)), line: line)
    } else {
      result = try parsePrimary()
    }
    result = try parsePostfix(result)
    return allowsFilters ? try parseFilterTail(result) : result
  }

  // MARK: Primaries

  mutating func parsePrimary() throws(Failure) -> Expression {
    let line = line
    let token = kind
    switch token {
    case .name(let name):
      position += 1
      return Expression(nameKind(name), line: line)
    case .text: return Expression(.text(parseAdjacentTexts()), line: line)
    case .integer(let value):
      position += 1
      return Expression(.integer(value), line: line)
    case .float(let value):
      position += 1
      return Expression(.float(value), line: line)
    case .symbol("("):
      position += 1
      let result = try parseTuple(isInParentheses: true)
      try expect(.symbol(")"))
      return result
    case .symbol("["):
      position += 1
      return Expression(.list(try parseItems(until: "]")), line: line)
    case .symbol("{"): return try parseDictionary()
    default: throw failure("expected an expression, got \(describe(token))")
    }
  }

  private mutating func nameKind(_ name: String) -> Expression.Kind {
    switch name {
    case "true", "True": return .bool(true)
    case "false", "False": return .bool(false)
    case "none", "None": return .none
    case "caller": special.usesCaller = true
    case "varargs": special.usesArguments = true
    case "kwargs": special.usesKeywords = true
    default: break
    }
    return .name(intern(name))
  }

  private mutating func parseAdjacentTexts() -> TemplateText {
    var builder = TemplateTextBuilder()
    while case .text(let text) = kind {
      builder.append(text)
      position += 1
    }
    return builder.text
  }

  private mutating func parseItems(until end: String) throws(Failure) -> [Expression] {
    var items: [Expression] = []
    while kind != .symbol(end) {
      if !items.isEmpty {
        try expect(.symbol(","))
        if kind == .symbol(end) { break }
      }
      items.append(try parseExpression())
    }
    position += 1
    return items
  }

  private mutating func parseDictionary() throws(Failure) -> Expression {
    let line = line
    position += 1
    var members: [(key: Expression, value: Expression)] = []
    while kind != .symbol("}") {
      if !members.isEmpty {
        try expect(.symbol(","))
        if kind == .symbol("}") { break }
      }
      let key = try parseExpression()
      try expect(.symbol(":"))
      members.append((key, try parseExpression()))
    }
    position += 1
    return Expression(.dictionary(members), line: line)
  }

  // MARK: Postfixes

  private mutating func parsePostfix(_ base: Expression) throws(Failure) -> Expression {
    let outer = depth
    defer { depth = outer }
    var result = base
    while true {
      switch kind {
      case .symbol("."): result = try parseAttribute(result)
      case .symbol("["): result = try parseSubscript(result)
      case .symbol("("):
        let line = line
        result = Expression(.call(result, try parseArguments()), line: line)
      default: return result
      }
      try descend()
    }
  }

  private mutating func parseAttribute(_ base: Expression) throws(Failure) -> Expression {
    let line = line
    position += 1
    switch kind {
    case .name(let name):
      position += 1
      return Expression(.attribute(base, TemplateText(name, isMarkup: true)), line: line)
    case .integer(let value):
      position += 1
      return Expression(.item(base, Expression(.integer(value), line: line)), line: line)
    default: throw failure("expected a name or a number after '.', got \(describe(kind))")
    }
  }

  private mutating func parseSubscript(_ base: Expression) throws(Failure) -> Expression {
    let line = line
    position += 1
    var keys: [Expression] = []
    while kind != .symbol("]") {
      if !keys.isEmpty { try expect(.symbol(",")) }
      let key = kind == .symbol(":") ? nil : try parseExpression()
      if kind == .symbol(":") {
        let slice = try parseSlice(start: key)
        guard keys.isEmpty, skipSymbol("]") else { throw failure("a slice must stand alone") }
        return Expression(.slice(base, slice), line: line)
      }
      if let key { keys.append(key) }
    }
    position += 1
    return Expression(.item(base, keys.count == 1 ? keys[0] : Expression(.tuple(keys), line: line)), line: line)
  }

  private mutating func parseSlice(start: Expression?) throws(Failure) -> TemplateSlice {
    position += 1
    var slice = TemplateSlice(start: start)
    let ends: [TemplateToken.Kind] = [.symbol("]"), .symbol(","), .symbol(":")]
    if !ends.contains(kind) { slice.stop = try parseExpression() }
    if skipSymbol(":"), !ends.contains(kind) { slice.step = try parseExpression() }
    return slice
  }

  private mutating func parseArguments() throws(Failure) -> TemplateArguments {
    let line = line
    try expect(.symbol("("))
    var arguments = TemplateArguments()
    var isFirst = true
    while kind != .symbol(")") {
      if !isFirst {
        try expect(.symbol(","))
        if kind == .symbol(")") { break }
      }
      isFirst = false
      try parseArgument(into: &arguments, line: line)
    }
    position += 1
    return arguments
  }

  private mutating func parseArgument(into arguments: inout TemplateArguments, line: Int) throws(Failure) {
    let invalid = failure("invalid syntax for function call expression", line: line)
    if skipSymbol("*") {
      guard arguments.spread == nil, arguments.keywordSpread == nil else { throw invalid }
      arguments.spread = try parseExpression()
    } else if skipSymbol("**") {
      guard arguments.keywordSpread == nil else { throw invalid }
      arguments.keywordSpread = try parseExpression()
    } else if case .name(let name) = kind, kind(after: 1) == .symbol("=") {
      guard arguments.keywordSpread == nil else { throw invalid }
      guard !arguments.keywords.contains(where: { $0.name == name }) else {
        throw failure("the keyword argument '\(name)' is repeated")
      }
      position += 2
      arguments.keywords.append((name, try parseExpression()))
    } else {
      guard arguments.spread == nil, arguments.keywordSpread == nil, arguments.keywords.isEmpty else { throw invalid }
      arguments.positional.append(try parseExpression())
    }
  }

  // MARK: Filters and tests

  private mutating func parseFilterTail(_ base: Expression) throws(Failure) -> Expression {
    let outer = depth
    defer { depth = outer }
    var result = base
    while true {
      let line = line
      switch kind {
      case .symbol("|"): result = try parseFilters(result, startsInline: false)
      case .name("is"): result = try parseTest(result)
      case .symbol("("): result = Expression(.call(result, try parseArguments()), line: line)
      default: return result
      }
      try descend()
    }
  }

  mutating func parseFilters(_ base: Expression, startsInline: Bool) throws(Failure) -> Expression {
    let outer = depth
    defer { depth = outer }
    var result = base
    var isInline = startsInline
    while isInline || skipSymbol("|") {
      isInline = false
      try descend()
      let line = line
      let name = try parseDottedName()
      let arguments = kind == .symbol("(") ? try parseArguments() : TemplateArguments()
      if let filter = TemplateFilter(rawValue: name) {
        result = Expression(.filter(result, filter, arguments), line: line)
      } else {
        result = lacking(TemplateFilter.sentence(lacking: name), line: line)
      }
    }
    return result
  }

  private mutating func parseDottedName() throws(Failure) -> String {
    var name = try expectName()
    while skipSymbol(".") { name += "." + (try expectName()) }
    return name
  }

  private mutating func parseTest(_ base: Expression) throws(Failure) -> Expression {
    let line = line
    position += 1
    let isNegated = skipName("not")
    let name = try parseDottedName()
    var arguments = TemplateArguments()
    if kind == .symbol("(") {
      arguments = try parseArguments()
    } else if startsTestArgument() {
      guard kind != .name("is") else { throw failure("tests cannot be chained with 'is'") }
      arguments.positional = [try parsePostfix(try parsePrimary())]
    }
    let test = TemplateTest(rawValue: name)
    let result =
      if let test { Expression(.test(base, test, arguments), line: line) } else {
        lacking("no test named '\(name)'", line: line)
      }
    return isNegated ? Expression(.not(result), line: line) : result
  }

  private func startsTestArgument() -> Bool {
    switch kind {
    case .name(let name): !["else", "or", "and"].contains(name)
    case .text, .integer, .float, .symbol("["), .symbol("{"): true
    default: false
    }
  }
}
