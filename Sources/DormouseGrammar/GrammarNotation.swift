import DormouseSupport

/// Reads grammars in GBNF, the notation of llama.cpp: `name ::= ...`, one rule a line, of texts, classes of characters,
/// names, groups, `|`, and `*`, `+`, `?`, `{m,n}` behind what they repeat. The whole text is `root`.
struct GrammarNotation {
  indirect enum Element {
    case expression(RegularExpression)
    case rule(String)
    case sequence([Element])
    case alternatives([Element])
    case repetition(Element, minimum: Int32, maximum: Int32)
  }

  private let grammar: Grammar
  private let expressions: Expressions
  private let elements: [String: Element]
  private var rules: [String: Grammar.Rule] = [:]
  /// Of these, those whose alternatives are not made yet: rules may name one another in chains of any length.
  private var pending: [String] = []
  /// Of names that stand for regular expressions: no way leads back to them.
  private var terminals: [String: ExpressionID] = [:]

  private init(_ grammar: Grammar, _ elements: [String: Element]) {
    self.grammar = grammar
    expressions = grammar.expressions
    self.elements = elements
  }

  /// - Returns: the rule of a whole text.
  /// - Throws: `Failure(.invalidArgument)` for what is no grammar, and for one that no text ends; it names the line.
  static func read(_ text: String, into grammar: Grammar) throws(Failure) -> Grammar.Rule {
    var parser = NotationParser(text, grammar.expressions.effort)
    let elements = try parser.parse()
    guard elements["root"] != nil else { throw Failure(.invalidArgument, "grammar: there is no rule root") }
    for (name, element) in elements {
      for other in element.names where elements[other] == nil {
        throw Failure(
          .invalidArgument, "grammar: rule \(Excerpt.name(name)) names \(Excerpt.name(other)), which is no rule")
      }
    }
    let finite = try finite(elements, grammar.expressions.effort)
    var reader = GrammarNotation(grammar, elements.filter { finite.contains($0.key) })
    guard reader.elements["root"] != nil else { throw Failure(.invalidArgument, "grammar: no text of root ever ends") }
    try reader.findTerminals()
    let root = reader.rule("root")
    while let name = reader.pending.popLast() {
      try grammar.expressions.effort.check()
      reader.makeAlternatives(of: name)
    }
    return root
  }

  /// Rules of which some text ends.
  private static func finite(_ elements: [String: Element], _ effort: Effort) throws(Failure) -> Set<String> {
    let users = users(of: elements)
    var result = Set<String>()
    // A rule is looked at again where one that it names has come to be finite.
    var agenda = Array(elements.keys)
    while let name = agenda.popLast() {
      effort.spend(16)
      try effort.check()
      guard !result.contains(name), let element = elements[name], element.isFinite(result, effort) else { continue }
      result.insert(name)
      agenda += users[name] ?? []
    }
    return result
  }

  /// Of each name, the rules that name it.
  private static func users(of elements: [String: Element]) -> [String: [String]] {
    var result: [String: [String]] = [:]
    for (name, element) in elements { for other in Set(element.names) { result[other, default: []].append(name) } }
    return result
  }

  /// Rules that name none but regular ones, from the bottom.
  private mutating func findTerminals() throws(Failure) {
    let users = Self.users(of: elements)
    // Of each rule, how many that it names are not known to be regular; rules without texts are.
    var missing = elements.mapValues { element in Set(element.names).count { elements[$0] != nil } }
    var agenda = missing.filter { $0.value == 0 }.map(\.key)
    while let name = agenda.popLast() {
      guard let element = elements[name], let expression = expression(element) else { continue }
      try expressions.effort.check()
      terminals[name] = expression
      for user in users[name] ?? [] {
        missing[user, default: 0] -= 1
        if missing[user] == 0 { agenda.append(user) }
      }
    }
  }

  private func expression(_ element: Element) -> ExpressionID? {
    expressions.effort.spend(16)
    if expressions.effort.isStopped { return nil }
    switch element {
    case .expression(let expression):
      return try? expression.language(isWhole: true, expressions, UTF8Encoding())
    case .rule(let name): return elements[name] == nil ? Expressions.nothing : terminals[name]
    case .sequence(let parts):
      let all = parts.compactMap { expression($0) }
      return all.count == parts.count ? expressions.concatenation(all) : nil
    case .alternatives(let parts):
      let all = parts.compactMap { expression($0) }
      return all.count == parts.count ? expressions.union(all) : nil
    case .repetition(let part, let minimum, let maximum):
      return expression(part).map { expressions.repetition($0, minimum, maximum) }
    }
  }

  private mutating func rule(_ name: String) -> Grammar.Rule {
    if let known = rules[name] { return known }
    let rule = grammar.makeRule()
    rules[name] = rule
    pending.append(name)
    return rule
  }

  private mutating func makeAlternatives(of name: String) {
    let rule = rule(name)
    if let terminal = terminals[name] {
      grammar.set(rule, [[.terminal(terminal)]])
    } else if let element = elements[name] {
      grammar.set(rule, alternatives(element))
    } else {
      grammar.set(rule, [])
    }
  }

  private mutating func alternatives(_ element: Element) -> [[Grammar.Symbol]] {
    guard case .alternatives(let parts) = element else { return [symbols(element)] }
    return parts.map { symbols($0) }
  }

  private mutating func symbols(_ element: Element) -> [Grammar.Symbol] {
    if let expression = expression(element) { return [.terminal(expression)] }
    switch element {
    case .expression: return []
    case .rule(let name): return [.rule(rule(name))]
    case .sequence(let parts): return parts.flatMap { symbols($0) }
    case .alternatives: return [.rule(grammar.makeRule(alternatives(element)))]
    case .repetition(let part, let minimum, let maximum):
      let limit = maximum == Expressions.unlimited ? nil : Int(maximum)
      return [grammar.repetition([.rule(grammar.makeRule(alternatives(part)))], Int(minimum), limit)]
    }
  }
}

extension GrammarNotation.Element {
  /// The rules that it names.
  var names: [String] {
    switch self {
    case .expression: []
    case .rule(let name): [name]
    case .sequence(let parts), .alternatives(let parts): parts.flatMap(\.names)
    case .repetition(let part, _, _): part.names
    }
  }

  /// Whether some text of it ends, if those of these rules do.
  fileprivate func isFinite(_ rules: Set<String>, _ effort: Effort) -> Bool {
    effort.spend(4)
    return switch self {
    case .expression: true
    case .rule(let name): rules.contains(name)
    case .sequence(let parts): parts.allSatisfy { $0.isFinite(rules, effort) }
    case .alternatives(let parts): parts.contains { $0.isFinite(rules, effort) }
    case .repetition(let part, let minimum, _): minimum == 0 || part.isFinite(rules, effort)
    }
  }
}

private struct NotationParser {
  private typealias Element = GrammarNotation.Element

  private var text: ScalarCursor
  private var depth = 0
  private let effort: Effort

  private static let maximumLength = 1 << 20
  private static let maximumDepth = 100
  private static let maximumRepetition: Int32 = 100_000

  init(_ text: String, _ effort: Effort) {
    self.text = ScalarCursor(text)
    self.effort = effort
  }

  mutating func parse() throws(Failure) -> [String: GrammarNotation.Element] {
    guard text.count <= Self.maximumLength else {
      throw Failure(
        .invalidArgument, "grammar: \(text.count) characters; expected at most \(Self.maximumLength)")
    }
    var rules: [String: Element] = [:]
    skip(newlines: true)
    while text.next != nil {
      let name = try self.name()
      skip(newlines: false)
      guard text.take("::=") else { throw wrong("expected ::= behind the name \(Excerpt.name(name))") }
      skip(newlines: true)
      guard rules.updateValue(try alternatives(isNested: false), forKey: name) == nil else {
        throw wrong("a second rule \(Excerpt.name(name))")
      }
      guard text.next == nil || text.next == "\n" || text.next == "\r" else {
        throw wrong("expected the end of the rule")
      }
      skip(newlines: true)
    }
    return rules
  }

  private func wrong(_ what: String) -> Failure {
    return Failure(.invalidArgument, "grammar, line \(text.line): \(what)")
  }

  /// White space and comments.
  private mutating func skip(newlines: Bool) {
    while let scalar = text.next {
      if scalar == "#" {
        while let other = text.next, other != "\n" { text.advance() }
      } else if scalar == " " || scalar == "\t" || newlines && (scalar == "\n" || scalar == "\r") {
        text.advance()
      } else {
        return
      }
    }
  }

  private static func isName(_ scalar: Unicode.Scalar) -> Bool {
    scalar.isASCII && (scalar.properties.isAlphabetic || ("0"..."9").contains(scalar) || scalar == "-" || scalar == "_")
  }

  private mutating func name() throws(Failure) -> String {
    var result = ""
    while let scalar = text.next, Self.isName(scalar) {
      result.unicodeScalars.append(scalar)
      text.advance()
    }
    guard !result.isEmpty else { throw wrong("expected a name") }
    return result
  }

  private mutating func alternatives(isNested: Bool) throws(Failure) -> Element {
    depth += 1
    defer { depth -= 1 }
    guard depth <= Self.maximumDepth else { throw wrong("more than \(Self.maximumDepth) groups in one another") }
    var parts = [try sequence(isNested: isNested)]
    while text.take("|") {
      skip(newlines: true)
      parts.append(try sequence(isNested: isNested))
    }
    return parts.count == 1 ? parts[0] : .alternatives(parts)
  }

  private mutating func sequence(isNested: Bool) throws(Failure) -> Element {
    var parts: [Element] = []
    while let scalar = text.next {
      effort.spend(64)
      try effort.check()
      let part: Element
      switch scalar {
      case "\"": part = try literal()
      case "[": part = .expression(.characters(try characterClass()))
      case ".":
        text.advance()
        part = .expression(.characters(.all))
      case "(":
        text.advance()
        skip(newlines: true)
        part = try alternatives(isNested: true)
        guard text.take(")") else { throw wrong("a group is not closed") }
      case let other where Self.isName(other): part = .rule(try name())
      default: return .sequence(parts)
      }
      parts.append(try repeated(part, isNested: isNested))
    }
    return .sequence(parts)
  }

  private mutating func repeated(_ part: Element, isNested: Bool) throws(Failure) -> Element {
    var result = part
    skip(newlines: isNested)
    while true {
      if text.take("*") {
        result = .repetition(result, minimum: 0, maximum: Expressions.unlimited)
      } else if text.take("+") {
        result = .repetition(result, minimum: 1, maximum: Expressions.unlimited)
      } else if text.take("?") {
        result = .repetition(result, minimum: 0, maximum: 1)
      } else if text.take("{") {
        let minimum = try number()
        var maximum: Int32? = minimum
        if text.take(",") { maximum = text.next == "}" ? Expressions.unlimited : try number() }
        guard let minimum, let maximum, minimum <= maximum, text.take("}") else {
          throw wrong("expected {m}, {m,} or {m,n}")
        }
        result = .repetition(result, minimum: minimum, maximum: maximum)
      } else {
        return result
      }
      skip(newlines: isNested)
    }
  }

  private mutating func number() throws(Failure) -> Int32? {
    let number = text.number(upTo: Self.maximumRepetition)
    if let number, number > Self.maximumRepetition {
      throw wrong("more than \(Self.maximumRepetition) repetitions")
    }
    return number
  }

  private mutating func literal() throws(Failure) -> Element {
    text.advance()
    var characters: [RegularExpression] = []
    while text.next != nil, text.next != "\"" {
      effort.spend(16)
      characters.append(.characters(ScalarSet(try character())))
    }
    guard text.take("\"") else { throw wrong("a text is not closed") }
    return .expression(.sequence(characters))
  }

  private mutating func characterClass() throws(Failure) -> ScalarSet {
    text.advance()
    let isNegative = text.take("^")
    var ranges: [ClosedRange<UInt32>] = []
    while text.next != nil, text.next != "]" {
      let first = try character().value
      // A dash ahead of the end stands for itself.
      guard !text.isNext("-]"), text.take("-") else {
        ranges.append(first...first)
        continue
      }
      let last = try character().value
      guard first <= last else { throw wrong("a range whose end is before its beginning") }
      ranges.append(first...last)
    }
    guard text.take("]") else { throw wrong("a class is not closed") }
    let set = ScalarSet(ranges)
    return isNegative ? set.complement : set
  }

  /// A character, or what stands for one.
  private mutating func character() throws(Failure) -> Unicode.Scalar {
    guard let scalar = text.next else { throw wrong("the end") }
    text.advance()
    guard scalar == "\\" else { return scalar }
    guard let escaped = text.next else { throw wrong("a backslash at the end") }
    text.advance()
    switch escaped {
    case "n": return "\n"
    case "r": return "\r"
    case "t": return "\t"
    case "x": return try hexadecimal(2)
    case "u": return try hexadecimal(4)
    case "U": return try hexadecimal(8)
    case "\\", "\"", "[", "]", "-", "^", "/": return escaped
    default: throw wrong("an escape that is not known, \\\(escaped)")
    }
  }

  private mutating func hexadecimal(_ count: Int) throws(Failure) -> Unicode.Scalar {
    guard let value = text.hexadecimal(count) else { throw wrong("expected \(count) hexadecimal digits") }
    guard let scalar = Unicode.Scalar(value) else { throw wrong("a number that is no character's") }
    return scalar
  }
}
