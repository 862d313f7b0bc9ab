import DormouseSupport

/// Makes the grammar of a schema's values. Rules are made as an answer meets them, so that schemas that refer to
/// themselves need no more than others.
final class SchemaGrammar {
  let grammar: Grammar
  private let shapes: SchemaShapes
  private let texts: JSONTexts
  private let expressions: Expressions
  private var rules: [Conjunction: Grammar.Rule] = [:]

  /// - Throws: `Failure` as `SchemaDocument` does.
  init(_ schema: JSON, _ grammar: Grammar, _ options: SchemaOptions) throws(Failure) {
    self.grammar = grammar
    expressions = grammar.expressions
    texts = try JSONTexts(expressions, options)
    let document = try SchemaDocument(schema)
    shapes = SchemaShapes(document, texts)
  }

  /// The rule of a whole text. All parts of the schema that a value can meet are read now, so that what is not enforced
  /// is refused now.
  func start() throws(Failure) -> Grammar.Rule {
    let whole: Conjunction = [shapes.document.whole()]
    try readAll(from: whole)
    guard try !shapes.isEmpty(whole) else { throw Failure(.invalidArgument, "#: the schema allows no value") }
    return grammar.makeRule([[.terminal(texts.whitespace), .rule(value(whole)), .terminal(texts.whitespace)]])
  }

  private func readAll(from start: Conjunction) throws(Failure) {
    // What each of a conjunction's shapes needs values of.
    var needs: [Conjunction: [[Conjunction]]] = [start.key: []]
    var agenda = [start.key]
    while let conjunction = agenda.popLast() {
      var inner: [Conjunction] = []
      for shape in try shapes.shapes(of: conjunction) {
        if shape.hasScalars { needs[conjunction, default: []].append([]) }
        if let array = shape.array {
          try checkEnforced(array)
          let items = (0...array.prefixCount).map { array.item($0) }
          // Any of them may be what the array must contain.
          let contained = array.contains.first.map { contained in items.map { [$0 + contained.schema] } } ?? [[]]
          inner += items + contained.flatMap { $0 }
          needs[conjunction, default: []] += contained.map { Array(items.prefix(array.minimum)) + $0 }
        }
        if let object = shape.object {
          for name in object.names { if let schema = shapes.member(name, of: object) { inner.append(schema) } }
          inner += try otherMembers(of: object).map(\.schema)
          needs[conjunction, default: []].append(object.required.compactMap { shapes.member($0, of: object) })
        }
      }
      for next in inner.map(\.key) where needs[next] == nil {
        needs[next] = []
        agenda.append(next)
      }
      guard needs.count <= 20_000 else { throw Failure(.unsupported, "the schema has more than 20000 combinations") }
      try expressions.effort.check()
    }
    noteEndless(needs)
  }

  /// Values that need values that need ... without end are none.
  private func noteEndless(_ needs: [Conjunction: [[Conjunction]]]) {
    // Of each shape, how many of the values that it needs are not known to end; and who waits for a value.
    var shapes: [(owner: Conjunction, missing: Int)] = []
    var waiting: [Conjunction: [Int]] = [:]
    var agenda: [Conjunction] = [[]]
    for (conjunction, alternatives) in needs {
      for needed in alternatives {
        let keys = Set(needed.map(\.key))
        for key in keys { waiting[key, default: []].append(shapes.count) }
        if keys.isEmpty { agenda.append(conjunction) }
        shapes.append((conjunction, keys.count))
      }
    }
    var finite: Set<Conjunction> = []
    while let conjunction = agenda.popLast() {
      guard finite.insert(conjunction).inserted else { continue }
      for index in waiting[conjunction] ?? [] {
        shapes[index].missing -= 1
        if shapes[index].missing == 0 { agenda.append(shapes[index].owner) }
      }
    }
    for conjunction in needs.keys where !finite.contains(conjunction) { self.shapes.noteEmpty(conjunction) }
  }

  private func checkEnforced(_ array: ArrayShape) throws(Failure) {
    if array.isUnique, array.maximum ?? .max > 1 {
      throw Failure(.unsupported, "uniqueItems of more than one item is not enforced")
    }
    if array.contains.count > 1 {
      throw Failure(.unsupported, "contains of several schemas at once is not enforced")
    }
    if array.contains.contains(where: { $0.maximum != nil }) {
      throw Failure(.unsupported, "maxContains is not enforced")
    }
  }

  // MARK: - Values

  /// The rule of a value that all these schemas allow.
  func value(_ conjunction: Conjunction) -> Grammar.Rule {
    let key = conjunction.key
    if let known = rules[key] { return known }
    let rule = grammar.makeRule { [unowned self] () throws(Failure) in
      try alternatives(try shapes.shapes(of: key))
    }
    rules[key] = rule
    return rule
  }

  private func alternatives(_ shapes: [Shape]) throws(Failure) -> [[Grammar.Symbol]] {
    var scalars: [ExpressionID] = []
    var result: [[Grammar.Symbol]] = []
    for shape in shapes {
      if shape.null { scalars.append(expressions.literal("null".utf8)) }
      if shape.isTrue { scalars.append(expressions.literal("true".utf8)) }
      if shape.isFalse { scalars.append(expressions.literal("false".utf8)) }
      scalars += [shape.number, shape.string]
      if let array = shape.array { result.append(try arraySymbols(array)) }
      if let object = shape.object { result.append(try ObjectGrammar(self, object).symbols()) }
    }
    let scalar = expressions.union(scalars)
    if scalar != Expressions.nothing { result.append([.terminal(scalar)]) }
    return result
  }

  /// Texts between values, with whitespace around them where it may stand.
  func mark(_ text: String, before: Bool = true, after: Bool = true) -> ExpressionID {
    expressions.concatenation([
      before ? texts.whitespace : Expressions.empty, expressions.literal(text.utf8),
      after ? texts.whitespace : Expressions.empty,
    ])
  }

  // MARK: - Arrays

  private func arraySymbols(_ array: ArrayShape) throws(Failure) -> [Grammar.Symbol] {
    [.terminal(mark("[", before: false)), .rule(items(array, 0, 0)), .terminal(expressions.literal([0x5D]))]
  }

  /// The items from `index` on, of which `found` before it are contained.
  private func items(_ array: ArrayShape, _ index: Int, _ found: Int) -> Grammar.Rule {
    grammar.makeRule { [unowned self] () throws(Failure) in
      var result: [[Grammar.Symbol]] = []
      let contained = array.contains.first
      if index >= array.minimum, found >= contained?.minimum ?? 0 { result.append([.terminal(texts.whitespace)]) }
      guard index < array.maximum ?? .max else { return result }
      let lead: [Grammar.Symbol] = index > 0 ? [.terminal(mark(","))] : []
      let item = array.item(index)
      if index > 0, index >= max(array.prefixCount, array.minimum), array.maximum == nil, contained == nil {
        // All further items are alike.
        let loop = grammar.makeRule()
        grammar.set(loop, [[], [.rule(loop)] + lead + [.rule(value(item))]])
        return [[.rule(loop), .terminal(texts.whitespace)]]
      }
      func go(_ schema: Conjunction, _ found: Int) throws(Failure) {
        guard try !shapes.isEmpty(schema), try canContain(array, from: index + 1, found) else { return }
        result.append(lead + [.rule(value(schema)), .rule(items(array, index + 1, found))])
      }
      // Items are counted up to what must be contained.
      if let contained, found < contained.minimum { try go(item + contained.schema, found + 1) }
      try go(item, found)
      return result
    }
  }

  /// Whether the items from `index` on can bring what is missing of what the array must contain.
  private func canContain(_ array: ArrayShape, from index: Int, _ found: Int) throws(Failure) -> Bool {
    guard let contained = array.contains.first, found < contained.minimum else { return true }
    let end = array.maximum ?? .max
    var missing = contained.minimum - found
    for place in index..<max(index, array.prefixCount) where place < end {
      if try !shapes.isEmpty(array.item(place) + contained.schema) { missing -= 1 }
    }
    if missing <= 0 { return true }
    let further = end - max(index, array.prefixCount)
    return missing <= further ? try !shapes.isEmpty(array.item(array.prefixCount) + contained.schema) : false
  }

  // MARK: - Members

  /// Members that have no name of their own in the schema: languages of names, and what members of such names must be.
  func otherMembers(of object: ObjectShape) throws(Failure) -> [(names: ExpressionID, schema: Conjunction)] {
    var remaining = [(names: texts.anyString, schema: Conjunction())]
    for language in object.nameLanguages {
      remaining = remaining.map { (both($0.names, language), $0.schema) }
    }
    let known = expressions.union(object.names.map { name(of: $0) })
    if known != Expressions.nothing {
      remaining = remaining.map { (both($0.names, expressions.complement(known)), $0.schema) }
    }
    for part in object.parts {
      guard !part.patterns.isEmpty else {
        remaining = remaining.map { ($0.names, $0.schema + part.additional) }
        continue
      }
      // Those that the patterns so far match or not.
      var split = remaining.map { (names: $0.names, schema: $0.schema, isMatched: false) }
      for pattern in part.patterns {
        split = split.flatMap { entry in
          [
            (both(entry.names, pattern.names), entry.schema + pattern.schema, true),
            (both(entry.names, expressions.complement(pattern.names)), entry.schema, entry.isMatched),
          ]
        }.filter { $0.0 != Expressions.nothing }
        guard split.count <= 256 else {
          throw Failure(.unsupported, "patternProperties overlap in more than 256 ways")
        }
      }
      remaining = split.map { ($0.names, $0.isMatched ? $0.schema : $0.schema + part.additional) }
    }
    var result: [(names: ExpressionID, schema: Conjunction)] = []
    for entry in remaining where entry.names != Expressions.nothing {
      if try !shapes.isEmpty(entry.schema) { result.append(entry) }
    }
    return result
  }

  private func both(_ one: ExpressionID, _ other: ExpressionID) -> ExpressionID {
    expressions.alive(expressions.intersection([one, other]))
  }

  /// A name as a member has it.
  func name(of name: ExactString) -> ExpressionID { texts.string(name.string) }

  /// What a member of this name must be; nil where there may be none.
  func member(_ name: ExactString, of object: ObjectShape) throws(Failure) -> Conjunction? {
    guard let schema = shapes.member(name, of: object), try !shapes.isEmpty(schema) else { return nil }
    return schema
  }

  var form: SchemaOptions.Form { texts.options.form }
  var whitespace: ExpressionID { texts.whitespace }
}
