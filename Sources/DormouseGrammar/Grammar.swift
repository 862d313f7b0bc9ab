import DormouseSupport

/// A context-free grammar whose terminals are regular expressions over bytes.
///
/// A rule's alternatives may be made when it is first met: that of an object in any order has one rule for each set of
/// members that may have come before, of which an answer meets few.
final class Grammar {
  /// The number of a rule.
  typealias Rule = Int32

  enum Symbol: Hashable {
    case terminal(ExpressionID)
    case rule(Rule)
  }

  /// A place in an alternative: what comes next there.
  enum Step {
    case terminal(ExpressionID)
    case rule(Rule)
    /// The alternative of this rule ends.
    case end(Rule)
  }

  let expressions: Expressions
  /// All alternatives behind one another, each with its end.
  private(set) var steps: ContiguousArray<Step> = []
  /// Of each rule, the places where its alternatives begin; nil until it is met.
  private var starts: ContiguousArray<[Int32]?> = []
  private var makers: [Rule: () throws(Failure) -> [[Symbol]]] = [:]
  /// What a maker has thrown, for whoever reads next.
  private(set) var failure: Failure?

  private static let maximumSteps = 1 << 22

  init(_ expressions: Expressions) { self.expressions = expressions }

  /// A rule whose alternatives are set later, or made when it is met.
  func makeRule(_ make: (() throws(Failure) -> [[Symbol]])? = nil) -> Rule {
    let rule = Rule(starts.count)
    starts.append(nil)
    makers[rule] = make
    return rule
  }

  func makeRule(_ alternatives: [[Symbol]]) -> Rule {
    let rule = makeRule()
    set(rule, alternatives)
    return rule
  }

  func set(_ rule: Rule, _ alternatives: [[Symbol]]) {
    var places: [Int32] = []
    for alternative in alternatives where !alternative.contains(.terminal(Expressions.nothing)) {
      guard steps.count + alternative.count < Self.maximumSteps else {
        failure = Failure(.unsupported, "the grammar has more than \(Self.maximumSteps) symbols")
        break
      }
      places.append(Int32(steps.count))
      for symbol in alternative where symbol != .terminal(Expressions.empty) {
        switch symbol {
        case .terminal(let expression): steps.append(.terminal(expression))
        case .rule(let rule): steps.append(.rule(rule))
        }
      }
      steps.append(.end(rule))
    }
    starts[Int(rule)] = places
  }

  /// Where the alternatives of a rule begin.
  func alternatives(of rule: Rule) -> [Int32] {
    if let known = starts[Int(rule)] { return known }
    starts[Int(rule)] = []
    if let make = makers.removeValue(forKey: rule) {
      do { set(rule, try make()) } catch { failure = failure ?? error }
    }
    return starts[Int(rule)] ?? []
  }
}

/// Common shapes.
extension Grammar {
  func rule(_ alternatives: [Symbol]...) -> Symbol { .rule(makeRule(alternatives)) }

  /// Any number of these, from `minimum` up to `maximum`, nil for no limit.
  func repetition(_ symbols: [Symbol], _ minimum: Int, _ maximum: Int?) -> Symbol {
    if symbols.count == 1, case .terminal(let expression) = symbols[0], minimum <= Int(Int32.max) - 1 {
      return .terminal(
        expressions.repetition(
          expression, Int32(minimum), Int32(clamping: maximum ?? Int(Expressions.unlimited))))
    }
    guard maximum != 0 else { return rule([]) }
    guard let maximum else {
      // Recursion on the left keeps what is remembered small.
      let more = makeRule()
      set(more, [[], [.rule(more)] + symbols])
      return minimum == 0 ? .rule(more) : rule([counted(symbols, minimum, minimum), .rule(more)])
    }
    return counted(symbols, minimum, maximum)
  }

  /// One rule for each count that is left, made when it is met.
  private func counted(_ symbols: [Symbol], _ minimum: Int, _ maximum: Int) -> Symbol {
    .rule(
      makeRule { [unowned self] () throws(Failure) in
        guard maximum > 0 else { return [[]] }
        let more = symbols + [counted(symbols, max(0, minimum - 1), maximum - 1)]
        return minimum > 0 ? [more] : [[], more]
      })
  }
}
