import DormouseSupport

/// The number of a regular expression in its `Expressions`.
typealias ExpressionID = Int32

/// Regular expressions over bytes, each stored once, with union, intersection and complement; and the automaton whose
/// states they are: the derivative of an expression by a byte is what may follow that byte (Brzozowski, "Derivatives of
/// Regular Expressions", 1964; Owens, Reppy and Turon, "Regular-expression derivatives re-examined", 2009, for classes of
/// bytes). States are made as they are met. Not thread-safe.
final class Expressions {
  enum Node: Hashable {
    /// No text at all.
    case nothing
    /// The empty text.
    case empty
    case bytes(ByteSet)
    case concatenation(ExpressionID, ExpressionID)
    case union([ExpressionID])
    case intersection([ExpressionID])
    case complement(ExpressionID)
    /// `maximum` is `unlimited` where there is none.
    case repetition(ExpressionID, minimum: Int32, maximum: Int32)
    /// Decimal digits that go on a number with this remainder to a multiple of the modulus.
    case multiple(modulus: Int32, remainder: Int32)
  }

  static let unlimited = Int32.max
  static let nothing: ExpressionID = 0
  static let empty: ExpressionID = 1
  /// Every text, of any bytes.
  private(set) var everything: ExpressionID = 0

  private(set) var nodes: ContiguousArray<Node> = []
  private var numbers: [Node: ExpressionID] = [:]
  private(set) var isNullable: ContiguousArray<Bool> = []
  /// Whether an expression has intersections or complements: only such a one may match nothing without being `nothing`.
  private(set) var isBoolean: ContiguousArray<Bool> = []
  /// How deep a derivative goes.
  private var depths: ContiguousArray<Int> = []
  private var fingerprints: ContiguousArray<Fingerprint> = []
  let effort: Effort
  var limits: Effort.Limits { effort.limits }

  // Of Expressions+Automaton.swift.
  /// Of boolean expressions: whether they match anything, where that is known.
  var isAlive: [ExpressionID: Bool] = [:]
  /// Of each state, the states after each byte, [256]; nil until it is met.
  var rows: ContiguousArray<UnsafeMutablePointer<ExpressionID>?> = []
  var rowCount = 0
  /// Of expressions, by number and byte.
  var derivatives: [UInt64: ExpressionID] = [:]

  // Of Expressions+Tokens.swift.
  /// What `withinReach`, `run` and `isAnyOther` have found.
  var reaches: [ExpressionID: ExpressionID] = [:]
  var runs: [ExpressionID: Run] = [:]
  var others: [ExpressionID: Bool] = [:]

  init(_ effort: Effort = Effort()) {
    self.effort = effort
    _ = store(.nothing)
    _ = store(.empty)
    everything = complement(Self.nothing)
  }

  deinit { for row in rows { row?.deallocate() } }

  /// Tells an expression from all others of this process.
  struct Fingerprint: Hashable, Sendable {
    var first: UInt64
    var second: UInt64
  }

  // MARK: - Making expressions

  func bytes(_ set: ByteSet) -> ExpressionID { set.isEmpty ? Self.nothing : store(.bytes(set)) }

  func literal(_ bytes: some Sequence<UInt8>) -> ExpressionID {
    concatenation(bytes.map { self.bytes(ByteSet($0)) })
  }

  func concatenation(_ parts: [ExpressionID]) -> ExpressionID {
    parts.reversed().reduce(Self.empty) { concatenation($1, $0) }
  }

  func concatenation(_ first: ExpressionID, _ second: ExpressionID) -> ExpressionID {
    if first == Self.nothing || second == Self.nothing { return Self.nothing }
    if first == Self.empty { return second }
    if second == Self.empty { return first }
    // Chains lean to the right, so that equal ones are the same node.
    var heads: [ExpressionID] = []
    var last = first
    while case .concatenation(let head, let tail) = nodes[Int(last)] {
      heads.append(head)
      last = tail
    }
    return heads.reversed().reduce(store(.concatenation(last, second))) { store(.concatenation($1, $0)) }
  }

  func union(_ parts: [ExpressionID]) -> ExpressionID {
    var set = ByteSet()
    var members = Set<ExpressionID>()
    func add(_ part: ExpressionID) {
      switch nodes[Int(part)] {
      case .nothing: break
      case .bytes(let bytes): set = set.union(bytes)
      case .union(let parts): for part in parts { add(part) }
      default: members.insert(part)
      }
    }
    for part in parts { add(part) }
    if members.contains(everything) { return everything }
    if !set.isEmpty { members.insert(bytes(set)) }
    let sorted = mergeHeads(members).sorted()
    return sorted.count > 1 ? store(.union(sorted)) : sorted.first ?? Self.nothing
  }

  /// `[a]x | [b]x` is `[ab]x`: what encodings of characters have many of.
  private func mergeHeads(_ members: Set<ExpressionID>) -> Set<ExpressionID> {
    var heads: [ExpressionID: ByteSet] = [:]
    var counts: [ExpressionID: Int] = [:]
    for member in members {
      guard case .concatenation(let head, let tail) = nodes[Int(member)], case .bytes(let set) = nodes[Int(head)]
      else { continue }
      heads[tail] = heads[tail, default: ByteSet()].union(set)
      counts[tail, default: 0] += 1
    }
    guard counts.contains(where: { $0.value > 1 }) else { return members }
    var merged = members.filter { member in
      guard case .concatenation(let head, let tail) = nodes[Int(member)], case .bytes = nodes[Int(head)] else {
        return true
      }
      return counts[tail] == 1
    }
    for (tail, count) in counts where count > 1 {
      if let set = heads[tail] { merged.insert(concatenation(bytes(set), tail)) }
    }
    return merged
  }

  func intersection(_ parts: [ExpressionID]) -> ExpressionID {
    var members = Set<ExpressionID>()
    for part in parts {
      if case .intersection(let inner) = nodes[Int(part)] { members.formUnion(inner) } else { members.insert(part) }
    }
    members.remove(everything)
    if members.contains(Self.nothing) { return Self.nothing }
    if members.contains(Self.empty) {
      return members.allSatisfy { isNullable[Int($0)] } ? Self.empty : Self.nothing
    }
    let sorted = members.sorted()
    return sorted.count > 1 ? store(.intersection(sorted)) : sorted.first ?? everything
  }

  func complement(_ part: ExpressionID) -> ExpressionID {
    if case .complement(let inner) = nodes[Int(part)] { return inner }
    return store(.complement(part))
  }

  /// - Parameter maximum: `unlimited` for any number.
  func repetition(_ part: ExpressionID, _ minimum: Int32, _ maximum: Int32) -> ExpressionID {
    if minimum > maximum { return Self.nothing }
    if maximum <= 0 || part == Self.empty { return Self.empty }
    if part == Self.nothing { return minimum > 0 ? Self.nothing : Self.empty }
    if minimum == 1 && maximum == 1 || part == everything { return part }
    if case .repetition(_, 0, Self.unlimited) = nodes[Int(part)] { return part }
    // Empty repetitions count as well.
    return store(.repetition(part, minimum: isNullable[Int(part)] ? 0 : minimum, maximum: maximum))
  }

  func optional(_ part: ExpressionID) -> ExpressionID { union([part, Self.empty]) }

  func any(_ part: ExpressionID) -> ExpressionID { repetition(part, 0, Self.unlimited) }

  /// Decimal digits of a multiple, at least one.
  /// - Parameter modulus: up to 100,000, each remainder of which is a state.
  func multiple(of modulus: Int32) -> ExpressionID {
    let digit = bytes(ByteSet(0x30...0x39))
    return intersection([concatenation(digit, any(digit)), store(.multiple(modulus: modulus, remainder: 0))])
  }

  /// One of these texts.
  func oneOf(_ literals: [[UInt8]]) -> ExpressionID {
    oneOf(literals.sorted { $0.lexicographicallyPrecedes($1) }[...], from: 0)
  }

  /// One of these sorted texts, without their first `depth` bytes, which they share.
  private func oneOf(_ literals: ArraySlice<[UInt8]>, from depth: Int) -> ExpressionID {
    var parts: [ExpressionID] = []
    var rest = literals
    while let first = rest.first {
      if first.count == depth {
        parts.append(Self.empty)
        rest = rest.dropFirst()
      } else if rest.count == 1 {
        parts.append(literal(first[depth...]))
        rest = []
      } else {
        let same = rest.prefix { $0.count > depth && $0[depth] == first[depth] }
        parts.append(concatenation(bytes(ByteSet(first[depth])), oneOf(same, from: depth + 1)))
        rest = rest.dropFirst(same.count)
      }
    }
    return union(parts)
  }

  func store(_ node: Node) -> ExpressionID {
    if let number = numbers[node] { return number }
    let depth = depth(of: node)
    guard nodes.count < limits.nodes, depth <= limits.depth else {
      effort.stop(.states)
      return Self.nothing
    }
    let number = ExpressionID(nodes.count)
    nodes.append(node)
    depths.append(depth)
    fingerprints.append(Fingerprint(first: hash(node, 0), second: hash(node, 1)))
    numbers[node] = number
    rows.append(nil)
    isNullable.append(nullability(of: node))
    isBoolean.append(booleanness(of: node))
    return number
  }

  private func nullability(of node: Node) -> Bool {
    switch node {
    case .nothing, .bytes: false
    case .empty: true
    case .concatenation(let first, let second): isNullable[Int(first)] && isNullable[Int(second)]
    case .union(let parts): parts.contains { isNullable[Int($0)] }
    case .intersection(let parts): parts.allSatisfy { isNullable[Int($0)] }
    case .complement(let part): !isNullable[Int(part)]
    case .repetition(let part, let minimum, _): minimum == 0 || isNullable[Int(part)]
    case .multiple(_, let remainder): remainder == 0
    }
  }

  func fingerprint(of expression: ExpressionID) -> Fingerprint { fingerprints[Int(expression)] }

  /// Hasher's keys are random in each process: nobody outside can look for two of one hash.
  private func hash(_ node: Node, _ salt: UInt8) -> UInt64 {
    var hasher = Hasher()
    hasher.combine(salt)
    func add(_ parts: [ExpressionID], _ kind: UInt8) {
      hasher.combine(kind)
      let sorted = parts.map { fingerprints[Int($0)] }
        .sorted { ($0.first, $0.second) < ($1.first, $1.second) }
      for part in sorted { hasher.combine(part) }
    }
    switch node {
    case .concatenation(let first, let second):
      hasher.combine(UInt8(1))
      hasher.combine(fingerprints[Int(first)])
      hasher.combine(fingerprints[Int(second)])
    case .union(let parts): add(parts, 2)
    case .intersection(let parts): add(parts, 3)
    case .complement(let part): add([part], 4)
    case .repetition(let part, let minimum, let maximum):
      add([part], 5)
      hasher.combine(minimum)
      hasher.combine(maximum)
    case .nothing, .empty, .bytes, .multiple:
      hasher.combine(UInt8(6))
      hasher.combine(node)
    }
    return UInt64(bitPattern: Int64(hasher.finalize()))
  }

  private func depth(of node: Node) -> Int {
    switch node {
    case .nothing, .bytes, .empty, .multiple: 1
    case .concatenation(let first, let second):
      1 + max(depths[Int(first)], isNullable[Int(first)] ? depths[Int(second)] : 0)
    case .union(let parts), .intersection(let parts): 1 + (parts.map { depths[Int($0)] }.max() ?? 0)
    case .complement(let part), .repetition(let part, _, _): 1 + depths[Int(part)]
    }
  }

  private func booleanness(of node: Node) -> Bool {
    switch node {
    case .nothing, .bytes, .empty, .multiple: false
    case .concatenation(let first, let second): isBoolean[Int(first)] || isBoolean[Int(second)]
    case .union(let parts): parts.contains { isBoolean[Int($0)] }
    case .intersection, .complement: true
    case .repetition(let part, _, _): isBoolean[Int(part)]
    }
  }
}
