public import DormouseSupport

/// Which tokens may come next in a text that must become one of a language: a JSON schema's values, a regular
/// expression's or a grammar's texts, or one of some texts.
///
/// What it allows is exact: a token is allowed if, and only if, some text of the language goes on with its bytes. Thread:
/// one call at a time; clones are apart from one another.
public final class Constraint: @unchecked Sendable {
  private let language: Language
  private let endTokens: [Int32]
  private(set) var recognizer: Recognizer
  /// Places before each token.
  private var history: [Int] = []
  /// Whether the last of these was an end token.
  public private(set) var hasEnded = false
  private var allowedNow: TokenSet?

  /// - Parameters:
  ///   - configuration: an object as `dormouse_constraint_create` describes it.
  ///   - endTokens: what may follow a complete text, of the vocabulary.
  ///   - interruption: asked while the constraint is made, and in all its calls.
  /// - Throws: `Failure(.invalidArgument)` for what is no configuration, `.unsupported` for what is not enforced or takes
  ///   too much work, and what `interruption` says.
  public convenience init(
    _ configuration: JSONFields, vocabulary: GrammarVocabulary, endTokens: some Collection<Int32>,
    interruption: Interruption = .never
  ) throws(Failure) {
    try self.init(
      configuration, vocabulary: vocabulary, endTokens: endTokens, effort: Effort(Effort.Limits(), interruption))
  }

  init(
    _ configuration: JSONFields, vocabulary: GrammarVocabulary, endTokens: some Collection<Int32>, effort: Effort
  ) throws(Failure) {
    (language, recognizer) = try DeepStack.run { () throws(Failure) in
      let language = try Language(configuration, vocabulary, effort)
      let recognizer = Recognizer(language.grammar, start: language.start)
      try language.check()
      return (language, recognizer)
    }
    self.endTokens = endTokens.filter { (0..<vocabulary.trie.tokenCount).contains(Int($0)) }
  }

  private init(copying other: Constraint) {
    language = other.language
    endTokens = other.endTokens
    recognizer = other.recognizer
    history = other.history
    hasEnded = other.hasEnded
    allowedNow = other.allowedNow
  }

  /// A second one that stands where this one does, and goes its own way.
  public func clone() -> Constraint { language.monitor.withLock { Constraint(copying: self) } }

  /// Runs what makes states of the grammar, which clones share, and goes as deep as its expressions do.
  private func exclusively<Result>(_ body: () throws(Failure) -> Result) throws(Failure) -> Result {
    try language.monitor.withLock { () throws(Failure) in
      language.grammar.expressions.effort.begin()
      return try DeepStack.run(body)
    }
  }

  /// Tokens of the vocabulary.
  public var tokenCount: Int { language.vocabulary.trie.tokenCount }

  /// Whether the text so far is one of the language.
  public var isComplete: Bool { recognizer.isComplete }

  /// The tokens that may come next; end tokens among them where the text is complete. None once one of these has come.
  /// - Throws: `Failure(.unsupported)` where it needs more time or memory than a constraint may, and what the
  ///   interruption says; from then on the constraint is of no use.
  public func allowed() throws(Failure) -> TokenSet {
    try exclusively { () throws(Failure) in try allowedTokens() }
  }

  private func allowedTokens() throws(Failure) -> TokenSet {
    if let allowedNow { return allowedNow }
    var set = TokenSet(tokenCount: tokenCount)
    if !hasEnded {
      language.masks.add(to: &set, after: &recognizer)
      if recognizer.isComplete { for token in endTokens { set.insert(token) } }
    }
    try language.check()
    allowedNow = set
    return set
  }

  /// Goes on by these tokens, or stays where it is.
  /// - Throws: `Failure(.invalidArgument)` for one that is not allowed, which it names.
  public func accept(_ tokens: some Sequence<Int32>) throws(Failure) {
    try exclusively { () throws(Failure) in
      let count = history.count
      do throws(Failure) {
        for (index, token) in tokens.enumerated() where try !acceptOne(token) {
          throw Failure(.invalidArgument, "token \(index) is \(token), which is not allowed there")
        }
      } catch {
        takeBack(history.count - count)
        throw error
      }
    }
  }

  private func acceptOne(_ token: Int32) throws(Failure) -> Bool {
    guard !hasEnded else { return false }
    let place = recognizer.count
    let ends = endTokens.contains(token) && recognizer.isComplete
    if !ends {
      guard let bytes = language.vocabulary.bytes(of: token) else { return false }
      for byte in bytes where !recognizer.advance(byte) {
        recognizer.takeBack(to: place)
        try language.check()
        return false
      }
    }
    history.append(place)
    hasEnded = ends
    allowedNow = nil
    try language.check()
    return true
  }

  /// Takes the last tokens back.
  /// - Throws: `Failure(.invalidArgument)` for more than there have been.
  public func rewind(_ count: Int) throws(Failure) {
    guard (0...history.count).contains(count) else {
      throw Failure(.invalidArgument, "cannot take back \(count) tokens: \(history.count) have been accepted")
    }
    takeBack(count)
  }

  private func takeBack(_ count: Int) {
    guard count > 0 else { return }
    recognizer.takeBack(to: history[history.count - count])
    history.removeLast(count)
    hasEnded = false
    allowedNow = nil
  }

  /// The tokens that must come next, one after another, since each is the only one allowed; at most `limit`. Where the
  /// text is complete and no end token is known, nothing must come.
  public func forced(limit: Int) throws(Failure) -> [Int32] {
    try exclusively { () throws(Failure) in
      var result: [Int32] = []
      let count = history.count
      defer { takeBack(history.count - count) }
      while result.count < limit, !(isComplete && endTokens.isEmpty), let only = try allowedTokens().only,
        try acceptOne(only)
      {
        result.append(only)
      }
      return result
    }
  }
}

extension TokenSet {
  /// The token of a set of one.
  fileprivate var only: Int32? {
    var found: Int32?
    for (index, word) in words.enumerated() where word != 0 {
      guard found == nil, word.nonzeroBitCount == 1 else { return nil }
      found = Int32(index * 32 + word.trailingZeroBitCount)
    }
    return found
  }
}

/// The grammar behind a constraint and its clones, whose parts are made as they are met; `monitor` guards all that
/// changes in it.
private final class Language {
  let monitor = Monitor()
  let vocabulary: GrammarVocabulary
  let grammar: Grammar
  let start: Grammar.Rule
  var masks: TokenMasks
  /// Makes rules of the grammar as long as that is there.
  private let schema: SchemaGrammar?

  private static let kinds = ["json_schema", "regex", "choice", "grammar"]
  private static let maximumChoices = 100_000

  init(_ fields: JSONFields, _ vocabulary: GrammarVocabulary, _ effort: Effort) throws(Failure) {
    try fields.refuseMembers(besides: Self.kinds + ["form"])
    guard let kind = Self.kinds.first(where: { fields.has($0) }), Self.kinds.filter({ fields.has($0) }).count == 1
    else {
      throw Failure(
        .invalidArgument, "\(fields.file): \(fields.path)expected one of json_schema, regex, choice and grammar")
    }
    self.vocabulary = vocabulary
    effort.begin()
    try effort.check()
    let expressions = Expressions(effort)
    grammar = Grammar(expressions)
    masks = TokenMasks(vocabulary, expressions)
    var schema: SchemaGrammar?
    do throws(Failure) {
      switch kind {
      case "json_schema":
        let made = try SchemaGrammar(fields.object[kind] ?? .null, grammar, try Self.options(fields))
        start = try made.start()
        schema = made
      case "regex":
        let pattern = try RegularExpression.parse(try fields.string(kind))
        start = try Self.rule(of: pattern.language(isWhole: true, expressions, UTF8Encoding()), grammar)
      case "choice":
        let texts = try fields.optionalStrings(kind) ?? []
        guard texts.count <= Self.maximumChoices else {
          throw Failure(.invalidArgument, "choice: \(texts.count) texts; expected at most \(Self.maximumChoices)")
        }
        start = try Self.rule(of: expressions.oneOf(texts.map { Array($0.utf8) }), grammar)
      default: start = try GrammarNotation.read(try fields.string(kind), into: grammar)
      }
    } catch {
      // What was found once the work was stopped may be wrong.
      try effort.check()
      throw Self.legible(error).prefixed("\(fields.file): \(fields.path)\(kind)")
    }
    self.schema = schema
    try check()
  }

  private static func rule(of expression: ExpressionID, _ grammar: Grammar) throws(Failure)
    -> Grammar.Rule
  {
    let alive = grammar.expressions.alive(expression)
    guard alive != Expressions.nothing || grammar.expressions.effort.isStopped else {
      throw Failure(.invalidArgument, "no text is allowed")
    }
    return grammar.makeRule([[.terminal(alive)]])
  }

  private static func options(_ fields: JSONFields) throws(Failure) -> SchemaOptions {
    switch try fields.optionalString("form") {
    case nil, "compact": return SchemaOptions(form: .compact)
    case "any": return SchemaOptions(form: .any)
    case let other?: throw fields.wrong("form", .string(other), expected: "compact or any")
    }
  }

  /// Paths hold members' names as they are in a schema, whatever that is.
  private static func legible(_ failure: Failure) -> Failure { Failure(failure.status, Excerpt.line(failure.message)) }

  /// - Throws: what has gone wrong while parts were made.
  func check() throws(Failure) {
    try grammar.expressions.effort.check()
    if let failure = grammar.failure { throw Self.legible(failure) }
  }
}
