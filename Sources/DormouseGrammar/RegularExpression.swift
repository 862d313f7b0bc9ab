import DormouseSupport

/// A regular expression as it is written: the syntax of ECMA-262 with the `u` flag, as JSON Schema has it, without what
/// no automaton can decide (references back, word boundaries).
indirect enum RegularExpression: Equatable {
  case characters(ScalarSet)
  case sequence([RegularExpression])
  case alternatives([RegularExpression])
  case repetition(RegularExpression, minimum: Int32, maximum: Int32)
  case start
  case end
  case lookahead(RegularExpression, isNegative: Bool)
}

extension RegularExpression {
  /// The texts that the expression matches.
  ///
  /// - Parameters:
  ///   - isWhole: whether it must match the whole text; else it is looked for in it, as `pattern` of JSON Schema is.
  ///   - encoding: how its characters are written.
  /// - Throws: `Failure(.unsupported)` for `^` and lookaheads where no automaton follows them.
  func language(
    isWhole: Bool, _ expressions: Expressions, _ encoding: any CharacterEncoding
  ) throws(Failure) -> ExpressionID {
    let text = expressions.any(encoding.expression(.all, expressions))
    let compiler = RegularExpressionCompiler(expressions: expressions, encoding: encoding, text: text)
    if isWhole { return try compiler.compile(self, isAtStart: true, then: Expressions.empty) }
    let first = try compiler.compile(self, isAtStart: true, then: text)
    guard hasStart else { return expressions.concatenation(text, first) }
    let character = encoding.expression(.all, expressions)
    let later = try compiler.compile(self, isAtStart: false, then: text)
    return expressions.union([first, expressions.concatenation([character, text, later])])
  }

  private var hasStart: Bool {
    switch self {
    case .start: true
    case .characters, .end: false
    case .sequence(let parts), .alternatives(let parts): parts.contains { $0.hasStart }
    case .repetition(let part, _, _), .lookahead(let part, _): part.hasStart
    }
  }

  /// Whether it looks at more than the characters that it takes.
  fileprivate var looksAround: Bool {
    switch self {
    case .start, .end, .lookahead: true
    case .characters: false
    case .sequence(let parts), .alternatives(let parts): parts.contains { $0.looksAround }
    case .repetition(let part, _, _): part.looksAround
    }
  }
}

/// Every part is compiled together with all that comes after it, so that `$` and lookaheads see it.
private struct RegularExpressionCompiler {
  let expressions: Expressions
  let encoding: any CharacterEncoding
  /// Any text.
  let text: ExpressionID

  /// - Parameter isAtStart: whether no character has been taken before.
  func compile(
    _ expression: RegularExpression, isAtStart: Bool, then rest: ExpressionID
  ) throws(Failure) -> ExpressionID {
    // A class of characters comes to some dozens of expressions.
    expressions.effort.spend(64)
    try expressions.effort.check()
    switch expression {
    case .characters(let set): return expressions.concatenation(encoding.expression(set, expressions), rest)
    case .start: return isAtStart ? rest : Expressions.nothing
    case .end: return expressions.intersection([rest, Expressions.empty])
    case .alternatives(let parts):
      var compiled: [ExpressionID] = []
      for part in parts { compiled.append(try compile(part, isAtStart: isAtStart, then: rest)) }
      return expressions.union(compiled)
    case .sequence(let parts):
      var result = rest
      for (index, part) in parts.enumerated().reversed() {
        let starts = isAtStart && parts[..<index].allSatisfy { $0.takesNothing }
        result = try compile(part, isAtStart: starts, then: result)
      }
      return result
    case .repetition(let part, let minimum, let maximum):
      guard !part.looksAround else {
        return try compileRepeated(part, minimum, maximum, isAtStart: isAtStart, then: rest)
      }
      let once = try compile(part, isAtStart: false, then: Expressions.empty)
      return expressions.concatenation(expressions.repetition(once, minimum, maximum), rest)
    case .lookahead(let part, let isNegative):
      let ahead = try compile(part, isAtStart: isAtStart, then: text)
      return expressions.intersection([isNegative ? expressions.complement(ahead) : ahead, rest])
    }
  }

  /// `(^a)?` and the like.
  private func compileRepeated(
    _ part: RegularExpression, _ minimum: Int32, _ maximum: Int32, isAtStart: Bool, then rest: ExpressionID
  ) throws(Failure) -> ExpressionID {
    guard maximum == 1 else {
      throw Failure(.unsupported, "an anchor or lookahead is repeated")
    }
    let once = try compile(part, isAtStart: isAtStart, then: rest)
    return minimum == 1 ? once : expressions.union([once, rest])
  }
}

extension RegularExpression {
  /// Whether it matches at a place and takes no character.
  fileprivate var takesNothing: Bool {
    switch self {
    case .start, .end, .lookahead: true
    case .characters: false
    case .sequence(let parts), .alternatives(let parts): parts.allSatisfy { $0.takesNothing }
    case .repetition(let part, _, _): part.takesNothing
    }
  }
}
