internal import DormouseSupport

/// Turns tokens into a tree, with the grammar of jinja2 (3.1.6, `parser.py`). Statements are here, expressions in
/// `TemplateParserExpressions.swift`.
struct TemplateParser {
  let tokens: [TemplateToken]
  let limits: TemplateLimits
  var position = 0
  var depth = 0
  /// Loops around the position whose `break` would be this one's; a macro starts from 0 again.
  private var loops = 0
  private var numbers: [ExactString: Int] = [:]
  private var names: [String] = []
  /// The special names met since the innermost macro began.
  var special = TemplateMacro.Special()
  /// The first filter or test met that this subset lacks.
  private var missing: Failure?

  static func parse(_ source: String, limits: TemplateLimits) throws(Failure) -> TemplateProgram {
    guard source.utf8.count <= limits.sourceBytes else {
      throw Failure(
        .malformed, "the template has \(source.utf8.count) bytes, more than the limit of \(limits.sourceBytes)")
    }
    var parser = TemplateParser(tokens: try TemplateLexer.tokenize(source), limits: limits)
    let body = try parser.parseBody(until: [])
    return TemplateProgram(body: body, names: parser.names, missing: parser.missing)
  }

  private init(tokens: [TemplateToken], limits: TemplateLimits) {
    self.tokens = tokens
    self.limits = limits
  }

  // MARK: Tokens

  var kind: TemplateToken.Kind { position < tokens.count ? tokens[position].kind : .end }
  var line: Int { tokens[min(position, tokens.count - 1)].line }

  func kind(after distance: Int) -> TemplateToken.Kind {
    position + distance < tokens.count ? tokens[position + distance].kind : .end
  }

  func failure(_ message: String, line: Int? = nil) -> Failure {
    Failure(.malformed, "line \(line ?? self.line): \(message)")
  }

  mutating func skip(_ wanted: TemplateToken.Kind) -> Bool {
    guard kind == wanted else { return false }
    position += 1
    return true
  }

  mutating func skipName(_ name: String) -> Bool { skip(.name(name)) }
  mutating func skipSymbol(_ symbol: String) -> Bool { skip(.symbol(symbol)) }

  mutating func expect(_ wanted: TemplateToken.Kind) throws(Failure) {
    guard skip(wanted) else { throw failure("expected \(describe(wanted)), got \(describe(kind))") }
  }

  mutating func expectName() throws(Failure) -> String {
    guard case .name(let name) = kind else { throw failure("expected a name, got \(describe(kind))") }
    position += 1
    return name
  }

  func describe(_ kind: TemplateToken.Kind) -> String {
    switch kind {
    case .data: "template text"
    case .blockBegin: "'{%'"
    case .blockEnd: "'%}'"
    case .variableBegin: "'{{'"
    case .variableEnd: "'}}'"
    case .name(let name): "'\(name)'"
    case .text: "a string"
    case .integer(let value): "\(value)"
    case .float(let value): "\(value)"
    case .symbol(let symbol): "'\(symbol)'"
    case .end: "the end of the template"
    }
  }

  /// A filter or a test that this subset lacks. As in the reference, it does not matter where it is not come to:
  /// templates ask for much in branches that few chats take.
  mutating func lacking(_ sentence: String, line: Int) -> TemplateExpression {
    if missing == nil { missing = Failure(.unsupported, "line \(line): \(sentence)") }
    return TemplateExpression(.missing(sentence), line: line)
  }

  /// The number of a name.
  mutating func intern(_ name: String) -> Int {
    if let number = numbers[ExactString(name)] { return number }
    numbers[ExactString(name)] = names.count
    names.append(name)
    return names.count - 1
  }

  /// One level more of the tree; the caller restores `depth`.
  mutating func descend() throws(Failure) {
    depth += 1
    guard depth <= limits.parserDepth else {
      throw failure("the template is nested more than \(limits.parserDepth) deep")
    }
  }

  // MARK: Statements

  /// The nodes up to a tag named in `ends`, whose name is the next token then; up to the end of the source for none.
  private mutating func parseBody(until ends: [String]) throws(Failure) -> [TemplateNode] {
    let outer = depth
    defer { depth = outer }
    try descend()
    var nodes: [TemplateNode] = []
    while true {
      let line = line
      switch kind {
      case .data(let text):
        position += 1
        nodes.append(TemplateNode(statement: .data(text), line: line))
      case .variableBegin:
        position += 1
        nodes.append(TemplateNode(statement: .output([try parseTuple()]), line: line))
        try expect(.variableEnd)
      case .blockBegin:
        position += 1
        if case .name(let name) = kind, ends.contains(name) { return nodes }
        nodes.append(TemplateNode(statement: try parseStatement(), line: line))
        try expect(.blockEnd)
      default:
        guard ends.isEmpty else {
          throw failure("unexpected end of the template; expected \(ends.map { "'\($0)'" }.joined(separator: " or "))")
        }
        return nodes
      }
    }
  }

  /// The rest of an opening tag, then its body up to a tag of `ends`; returns that tag's name.
  private mutating func parseBlock(_ ends: String...) throws(Failure) -> (body: [TemplateNode], end: String) {
    _ = skipSymbol(":")
    try expect(.blockEnd)
    let body = try parseBody(until: ends)
    return (body, try expectName())
  }

  private mutating func parseStatement() throws(Failure) -> TemplateStatement {
    guard case .name(let name) = kind else { throw failure("expected the name of a tag, got \(describe(kind))") }
    position += 1
    switch name {
    case "if": return try parseIf()
    case "for": return try parseFor()
    case "set": return try parseSet()
    case "macro": return .macro(try parseMacro())
    case "call": return try parseCallBlock()
    case "filter":
      let filter = try parseFilters(TemplateExpression(.captured, line: line), startsInline: true)
      return .filterBlock(filter, body: try parseBlock("endfilter").body)
    case "with": return try parseWith()
    case "print": return try parsePrint()
    case "generation":
      return .scope(
        try withLoops(0) { (parser) throws(Failure) in
          try parser.parseBlock("endgeneration").body
        })
    case "break", "continue":
      guard loops > 0 else { throw failure("'\(name)' outside a loop") }
      return name == "break" ? .breakLoop : .continueLoop
    default: throw unknownTag(name)
    }
  }

  private func unknownTag(_ name: String) -> Failure {
    switch name {
    case "include", "import", "from", "extends", "block", "autoescape", "do", "trans", "debug":
      Failure(.unsupported, "line \(line): the tag '\(name)' is not supported in a chat template")
    default:
      Failure(
        name.hasPrefix("end") || name == "else" || name == "elif" ? .malformed : .unsupported,
        "line \(line): unknown tag '\(name)'")
    }
  }

  private mutating func withLoops<Result>(
    _ count: Int, _ body: (inout TemplateParser) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let outer = loops
    loops = count
    defer { loops = outer }
    return try body(&self)
  }

  private mutating func parseIf() throws(Failure) -> TemplateStatement {
    var branches: [TemplateBranch] = []
    while true {
      let test = try parseTuple(allowsConditional: false)
      let (body, end) = try parseBlock("elif", "else", "endif")
      branches.append(TemplateBranch(test: test, body: body))
      if end == "elif" { continue }
      let otherwise = end == "else" ? try parseBlock("endif").body : []
      return .condition(branches: branches, otherwise: otherwise)
    }
  }

  private mutating func parseFor() throws(Failure) -> TemplateStatement {
    let target = try parseTarget(allowsAttributes: false, end: "in")
    try expect(.name("in"))
    let iterable = try parseTuple(allowsConditional: false, end: "recursive")
    let filter = skipName("if") ? try parseExpression() : nil
    let isRecursive = skipName("recursive")
    let (body, end) = try withLoops(loops + 1) { (parser) throws(Failure) in
      try parser.parseBlock("endfor", "else")
    }
    let otherwise = end == "else" ? try parseBlock("endfor").body : []
    return .loop(
      TemplateLoop(
        target: target, iterable: iterable, filter: filter, isRecursive: isRecursive, body: body,
        otherwise: otherwise))
  }

  private mutating func parseSet() throws(Failure) -> TemplateStatement {
    let target = try parseTarget(allowsAttributes: true, end: nil)
    if skipSymbol("=") { return .set(target, try parseTuple()) }
    let captured = TemplateExpression(.captured, line: line)
    let filter = kind == .symbol("|") ? try parseFilters(captured, startsInline: false) : nil
    return .setBlock(target, filter: filter, body: try parseBlock("endset").body)
  }

  private mutating func parseWith() throws(Failure) -> TemplateStatement {
    var targets: [TemplateTarget] = []
    var values: [TemplateExpression] = []
    while kind != .blockEnd {
      if !targets.isEmpty { try expect(.symbol(",")) }
      targets.append(try parseTarget(allowsAttributes: false, end: nil, allowsTuple: false))
      try expect(.symbol("="))
      values.append(try parseExpression())
    }
    return .with(targets: targets, values: values, body: try parseBlock("endwith").body)
  }

  private mutating func parsePrint() throws(Failure) -> TemplateStatement {
    var values: [TemplateExpression] = []
    while kind != .blockEnd {
      if !values.isEmpty { try expect(.symbol(",")) }
      values.append(try parseExpression())
    }
    return .output(values)
  }

  private mutating func parseMacro() throws(Failure) -> TemplateMacro {
    let name = try expectName()
    let parameters = try parseParameters()
    return try parseMacroBody(name: name, parameters: parameters, end: "endmacro")
  }

  private mutating func parseCallBlock() throws(Failure) -> TemplateStatement {
    let parameters = kind == .symbol("(") ? try parseParameters() : []
    let call = try parseExpression()
    guard case .call = call.kind else { throw failure("expected a call", line: call.line) }
    return .callBlock(try parseMacroBody(name: "caller", parameters: parameters, end: "endcall"), call: call)
  }

  private mutating func parseMacroBody(
    name: String, parameters: [TemplateMacro.Parameter], end: String
  ) throws(Failure) -> TemplateMacro {
    let outer = special
    special = TemplateMacro.Special()
    let body = try withLoops(0) { (parser) throws(Failure) in try parser.parseBlock(end).body }
    let own = special
    special = TemplateMacro.Special(
      usesCaller: outer.usesCaller || own.usesCaller, usesArguments: outer.usesArguments || own.usesArguments,
      usesKeywords: outer.usesKeywords || own.usesKeywords)
    return TemplateMacro(name: name, nameNumber: intern(name), parameters: parameters, special: own, body: body)
  }

  private mutating func parseParameters() throws(Failure) -> [TemplateMacro.Parameter] {
    try expect(.symbol("("))
    var parameters: [TemplateMacro.Parameter] = []
    while kind != .symbol(")") {
      if !parameters.isEmpty { try expect(.symbol(",")) }
      let name = intern(try expectName())
      let defaultValue = skipSymbol("=") ? try parseExpression() : nil
      guard defaultValue != nil || parameters.last?.defaultValue == nil else {
        throw failure("a parameter without a default follows one with a default")
      }
      guard !parameters.contains(where: { $0.name == name }) else { throw failure("a parameter's name stands twice") }
      parameters.append(TemplateMacro.Parameter(name: name, defaultValue: defaultValue))
    }
    position += 1
    return parameters
  }

  // MARK: Targets

  private mutating func parseTarget(
    allowsAttributes: Bool, end: String?, allowsTuple: Bool = true
  ) throws(Failure) -> TemplateTarget {
    let outer = depth
    defer { depth = outer }
    try descend()
    var targets: [TemplateTarget] = []
    var isTuple = false
    while true {
      if !targets.isEmpty {
        guard allowsTuple, skipSymbol(",") else { break }
        isTuple = true
        if isTargetEnd(end) { break }
      }
      targets.append(try parseSingleTarget(allowsAttributes: allowsAttributes))
    }
    return isTuple ? .tuple(targets) : targets[0]
  }

  private func isTargetEnd(_ end: String?) -> Bool {
    switch kind {
    case .blockEnd, .variableEnd, .symbol(")"), .symbol("="): true
    case .name(let name): name == end
    default: false
    }
  }

  private mutating func parseSingleTarget(allowsAttributes: Bool) throws(Failure) -> TemplateTarget {
    if skipSymbol("(") {
      let target = try parseTarget(allowsAttributes: allowsAttributes, end: nil)
      try expect(.symbol(")"))
      return target
    }
    let name = try expectName()
    guard !["true", "false", "none", "True", "False", "None"].contains(name) else {
      throw failure("cannot assign to '\(name)'")
    }
    let number = intern(name)
    guard allowsAttributes, skipSymbol(".") else { return .name(number) }
    return .attribute(number, TemplateText(try expectName(), isMarkup: true))
  }
}
