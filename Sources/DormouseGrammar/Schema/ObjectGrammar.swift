import DormouseSupport

/// The members of one object: in any order, or in the schema's.
final class ObjectGrammar {
  private struct Member {
    let name: ExpressionID
    let value: Grammar.Rule
    let isRequired: Bool
  }

  /// How far an object is.
  private struct State: Hashable {
    /// Bits of the members with names that have been, or, in the schema's order, may not come any more.
    var seen: [UInt64]
    /// Members so far, as far as that matters.
    var count: Int
    /// Whether there has been none.
    var isFirst: Bool
  }

  private unowned let owner: SchemaGrammar
  private let object: ObjectShape
  private var members: [Member] = []
  private var others: [(names: ExpressionID, value: Grammar.Rule)] = []
  private var rules: [State: Grammar.Rule] = [:]
  /// Beyond this a count does not matter.
  private let countLimit: Int

  init(_ owner: SchemaGrammar, _ object: ObjectShape) throws(Failure) {
    self.owner = owner
    self.object = object
    countLimit = object.maximum ?? object.minimum
    for name in object.names {
      guard let schema = try owner.member(name, of: object) else { continue }
      members.append(
        Member(name: owner.name(of: name), value: owner.value(schema), isRequired: object.required.contains(name)))
    }
    for other in try owner.otherMembers(of: object) { others.append((other.names, owner.value(other.schema))) }
  }

  /// Whether enough members can come in a state.
  private func canReachMinimum(_ state: State) -> Bool {
    !others.isEmpty || state.count + members.indices.count { !contains(state, $0) } >= object.minimum
  }

  func symbols() -> [Grammar.Symbol] {
    let state = State(seen: Array(repeating: 0, count: (members.count + 63) / 64), count: 0, isFirst: true)
    return [
      .terminal(owner.mark("{", before: false)), .rule(rest(state)),
      .terminal(owner.grammar.expressions.literal([0x7D])),
    ]
  }

  /// What may come in a state, up to the closing brace.
  private func rest(_ state: State) -> Grammar.Rule {
    if let known = rules[state] { return known }
    // The rules of an object live as long as its grammar, and it with them.
    let rule = owner.grammar.makeRule { [self] () throws(Failure) in try alternatives(state) }
    rules[state] = rule
    return rule
  }

  private func alternatives(_ state: State) throws(Failure) -> [[Grammar.Symbol]] {
    let effort = owner.grammar.expressions.effort
    let missing = members.indices.filter { members[$0].isRequired && !contains(state, $0) }
    var result: [[Grammar.Symbol]] = []
    guard canReachMinimum(state) else { return [] }
    if missing.isEmpty, state.count >= object.minimum { result.append([.terminal(owner.whitespace)]) }
    let room = object.maximum.map { $0 - state.count - missing.count } ?? .max
    for index in members.indices where !contains(state, index) {
      // Each alternative asks which members have been.
      effort.spend(1 + members.count / 8)
      try effort.check()
      let member = members[index]
      guard member.isRequired || room > 0 else { continue }
      var next = state
      if owner.form == .compact { for skipped in 0..<index { insert(skipped, &next) } }
      insert(index, &next)
      next.count = min(state.count + 1, countLimit)
      if canReachMinimum(next) { result.append(symbols(member.name, member.value, state, next)) }
      // In the schema's order nothing comes before what is required.
      if owner.form == .compact, member.isRequired { return result }
    }
    guard room > 0 else { return result }
    for other in others {
      var next = state
      if owner.form == .compact { for index in members.indices { insert(index, &next) } }
      next.count = min(state.count + 1, countLimit)
      result.append(symbols(other.names, other.value, state, next))
    }
    return result
  }

  private func symbols(
    _ name: ExpressionID, _ value: Grammar.Rule, _ state: State, _ next: State
  ) -> [Grammar.Symbol] {
    let expressions = owner.grammar.expressions
    let lead = state.isFirst ? Expressions.empty : owner.mark(",")
    var next = next
    next.isFirst = false
    return [
      .terminal(expressions.concatenation([lead, name, owner.mark(":")])), .rule(value), .rule(rest(next)),
    ]
  }

  private func contains(_ state: State, _ index: Int) -> Bool { state.seen[index / 64] >> UInt64(index % 64) & 1 != 0 }

  private func insert(_ index: Int, _ state: inout State) { state.seen[index / 64] |= 1 << UInt64(index % 64) }
}
