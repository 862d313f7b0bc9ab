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
  private var isNullable: ContiguousArray<Bool> = []
  /// Whether an expression has intersections or complements: only such a one may match nothing without being `nothing`.
  private var isBoolean: ContiguousArray<Bool> = []
  /// How deep a derivative goes.
  private var depths: ContiguousArray<Int> = []
  /// Of boolean expressions: whether they match anything, where that is known.
  private var isAlive: [ExpressionID: Bool] = [:]
  /// What `withinReach` has found.
  private var reaches: [ExpressionID: ExpressionID] = [:]
  /// Of each state, the states after each byte, [256]; nil until it is met.
  private var rows: ContiguousArray<UnsafeMutablePointer<ExpressionID>?> = []
  private var rowCount = 0
  /// Of expressions, by number and byte.
  private var derivatives: [UInt64: ExpressionID] = [:]
  private var work = 0
  private let limits: Limits
  /// Whether a limit was met: what was asked since may be wrong.
  private(set) var isExhausted = false

  struct Limits: Sendable {
    /// Expressions, derivatives among them.
    var nodes = 1 << 20
    /// States, a kilobyte each.
    var states = 1 << 16
    /// Calls within one another, of which a stack has to have room for as many.
    var depth = 400
    /// Derivatives, each some hundreds of nanoseconds.
    var work = 1 << 22
  }

  init(_ limits: Limits = Limits()) {
    self.limits = limits
    _ = store(.nothing)
    _ = store(.empty)
    everything = complement(Self.nothing)
  }

  deinit { for row in rows { row?.deallocate() } }

  /// Of sets of characters in the encoding that all parts of a grammar share.
  private var encodings: [ScalarSet: ExpressionID] = [:]
  private var fingerprints: ContiguousArray<Fingerprint> = []
  private var runs: [ExpressionID: Run] = [:]
  private var others: [ExpressionID: Bool] = [:]

  /// Tells an expression from all others of this process.
  struct Fingerprint: Hashable, Sendable {
    var first: UInt64
    var second: UInt64
  }

  /// Characters that may come in a state in any number and order up to a length, and none of which can end the terminal.
  struct Run {
    /// In bytes; 0 where nothing is known.
    var length: UInt16 = 0
    /// Those below 0x80.
    var ascii: (UInt64, UInt64) = (0, 0)
    /// Whether all others are among them.
    var takesOthers = false
  }

  func encoded(_ set: ScalarSet) -> ExpressionID? { encodings[set] }

  func setEncoded(_ set: ScalarSet, _ expression: ExpressionID) { encodings[set] = expression }

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

  private func store(_ node: Node) -> ExpressionID {
    if let number = numbers[node] { return number }
    let depth = depth(of: node)
    guard nodes.count < limits.nodes, depth <= limits.depth else {
      isExhausted = true
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

/// The automaton.
extension Expressions {
  /// Whether the text so far is one that the expression matches.
  func accepts(_ state: ExpressionID) -> Bool { isNullable[Int(state)] }

  /// The state after a byte; `nothing` where no text goes on so.
  @inline(__always)
  func next(_ state: ExpressionID, _ byte: UInt8) -> ExpressionID { row(state)[Int(byte)] }

  /// The states after each byte, [256], valid as long as this object is.
  @inline(__always)
  func row(_ state: ExpressionID) -> UnsafeMutablePointer<ExpressionID> {
    if let row = rows[Int(state)] { return row }
    return makeRow(state)
  }

  /// Whether any byte may follow.
  func canGoOn(_ state: ExpressionID) -> Bool {
    switch nodes[Int(state)] {
    case .nothing, .empty: return false
    default:
      let row = row(state)
      return (0..<256).contains { row[$0] != Self.nothing }
    }
  }

  private func makeRow(_ state: ExpressionID) -> UnsafeMutablePointer<ExpressionID> {
    let row = UnsafeMutablePointer<ExpressionID>.allocate(capacity: 256)
    row.initialize(repeating: Self.nothing, count: 256)
    rows[Int(state)] = row
    rowCount += 1
    guard rowCount <= limits.states else {
      isExhausted = true
      return row
    }
    let classes = classes(of: state)
    var derivatives = [ExpressionID?](repeating: nil, count: 256)
    for byte in 0..<256 {
      let number = Int(classes[byte])
      if derivatives[number] == nil { derivatives[number] = alive(derivative(state, UInt8(byte))) }
      row[byte] = derivatives[number] ?? Self.nothing
    }
    return row
  }

  /// The number of each byte's class: bytes of a class have the same derivative.
  private func classes(of state: ExpressionID) -> [UInt8] {
    var sets = Set<ByteSet>()
    collectFirst(state, &sets)
    var classes = [UInt8](repeating: 0, count: 256)
    var count = 1
    for set in sets {
      // A class that the set cuts gets a second number for the bytes inside.
      var inside = [Int](repeating: -1, count: 256)
      var outside = [Bool](repeating: false, count: 256)
      for byte in 0..<256 where !set.contains(UInt8(byte)) { outside[Int(classes[byte])] = true }
      for byte in 0..<256 where set.contains(UInt8(byte)) && outside[Int(classes[byte])] {
        let old = Int(classes[byte])
        if inside[old] < 0 {
          inside[old] = count
          count += 1
        }
        classes[byte] = UInt8(inside[old])
      }
    }
    return classes
  }

  private func collectFirst(_ expression: ExpressionID, _ sets: inout Set<ByteSet>) {
    switch nodes[Int(expression)] {
    case .nothing, .empty: break
    case .bytes(let set): sets.insert(set)
    case .concatenation(let first, let second):
      collectFirst(first, &sets)
      if isNullable[Int(first)] { collectFirst(second, &sets) }
    case .union(let parts), .intersection(let parts): for part in parts { collectFirst(part, &sets) }
    case .complement(let part), .repetition(let part, _, _): collectFirst(part, &sets)
    case .multiple: for digit in UInt8(0x30)...0x39 { sets.insert(ByteSet(digit)) }
    }
  }

  private func derivative(_ expression: ExpressionID, _ byte: UInt8) -> ExpressionID {
    switch nodes[Int(expression)] {
    case .nothing, .empty, .bytes, .multiple: return makeDerivative(expression, byte)
    default:
      let key = UInt64(UInt32(bitPattern: expression)) << 8 | UInt64(byte)
      if let known = derivatives[key] { return known }
      work += 1
      if work > limits.work {
        isExhausted = true
        return Self.nothing
      }
      let result = makeDerivative(expression, byte)
      derivatives[key] = result
      return result
    }
  }

  private func makeDerivative(_ expression: ExpressionID, _ byte: UInt8) -> ExpressionID {
    switch nodes[Int(expression)] {
    case .nothing, .empty: return Self.nothing
    case .bytes(let set): return set.contains(byte) ? Self.empty : Self.nothing
    case .concatenation(let first, let second):
      let whole = concatenation(derivative(first, byte), second)
      return isNullable[Int(first)] ? union([whole, derivative(second, byte)]) : whole
    case .union(let parts): return union(parts.map { derivative($0, byte) })
    case .intersection(let parts): return intersection(parts.map { derivative($0, byte) })
    case .complement(let part): return complement(derivative(part, byte))
    case .repetition(let part, let minimum, let maximum):
      let rest = repetition(
        part, max(0, minimum - 1), maximum == Self.unlimited ? maximum : maximum - 1)
      return concatenation(derivative(part, byte), rest)
    case .multiple(let modulus, let remainder):
      guard (0x30...0x39).contains(byte) else { return Self.nothing }
      return store(.multiple(modulus: modulus, remainder: (remainder * 10 + Int32(byte - 0x30)) % modulus))
    }
  }

  /// The expression, or `nothing` where it matches nothing.
  func alive(_ expression: ExpressionID) -> ExpressionID {
    guard isBoolean[Int(expression)], !accepts(expression) else { return expression }
    return matchesAnything(expression) ? expression : Self.nothing
  }

  /// Looks through the states ahead, in depth, until one accepts or is known.
  private func matchesAnything(_ expression: ExpressionID) -> Bool {
    if let known = isAlive[expression] { return known }
    var origins: [ExpressionID: ExpressionID] = [expression: expression]
    var stack: [ExpressionID] = [expression]
    while let state = stack.popLast(), !isExhausted {
      let classes = classes(of: state)
      var isSeen = [Bool](repeating: false, count: 256)
      for byte in 0..<256 where !isSeen[Int(classes[byte])] {
        isSeen[Int(classes[byte])] = true
        let next = derivative(state, UInt8(byte))
        guard next != Self.nothing, isAlive[next] != false, origins[next] == nil else { continue }
        origins[next] = state
        if !isBoolean[Int(next)] || accepts(next) || isAlive[next] == true {
          var step = state
          isAlive[next] = true
          while true {
            isAlive[step] = true
            guard let origin = origins[step], origin != step else { break }
            step = origin
          }
          return true
        }
        stack.append(next)
        if origins.count > limits.states { isExhausted = true }
      }
    }
    for state in origins.keys { isAlive[state] = false }
    return false
  }
}

extension Expressions {
  /// A state in which texts of at most `length` bytes do the same as in this one: repetitions that they can't come to the
  /// end of have no end, so that the states of a long string with a maximum length are one.
  func withinReach(_ state: ExpressionID, of length: Int) -> ExpressionID {
    if let known = reaches[state] { return known }
    let reach = clamped(state, Int32(clamping: length))
    reaches[state] = reach
    return reach
  }

  private func clamped(_ expression: ExpressionID, _ length: Int32) -> ExpressionID {
    switch nodes[Int(expression)] {
    case .concatenation(let first, let second):
      let head = clamped(first, length)
      return head == first ? expression : concatenation(head, second)
    case .repetition(let part, let minimum, let maximum) where maximum != Self.unlimited && maximum > length:
      // It takes a byte at least each time: more than `length` of them are never needed, nor ever too many.
      return repetition(part, min(minimum, length + 1), Self.unlimited)
    case .repetition(let part, let minimum, let maximum) where minimum > length + 1:
      return repetition(part, length + 1, maximum)
    default: return expression
    }
  }
}

extension Expressions {
  func run(of state: ExpressionID) -> Run {
    if let known = runs[state] { return known }
    let run = makeRun(of: state)
    runs[state] = run
    return run
  }

  /// Of a repetition with something behind it that begins with other bytes, or of a state that bytes lead back to.
  private func makeRun(of state: ExpressionID) -> Run {
    guard !accepts(state) else { return Run() }
    if case .concatenation(let head, let tail) = nodes[Int(state)],
      case .repetition(let part, _, let maximum) = nodes[Int(head)], maximum > 1
    {
      let first = row(tail)
      var run = Run(length: UInt16(clamping: maximum == Self.unlimited ? Int(UInt16.max) : Int(maximum)))
      for byte in UInt8(0)..<128 where next(part, byte) == Self.empty && first[Int(byte)] == Self.nothing {
        run.insert(byte)
      }
      run.takesOthers = (128..<256).allSatisfy { first[$0] == Self.nothing } && isAnyOther(part)
      return run
    }
    var run = Run(length: UInt16.max)
    for byte in UInt8(0)..<128 where next(state, byte) == state { run.insert(byte) }
    run.takesOthers = takesOthers(state, leadingTo: state)
    return run
  }

  /// Whether the expression matches every character beyond U+007F.
  private func isAnyOther(_ expression: ExpressionID) -> Bool {
    if let known = others[expression] { return known }
    let result = takesOthers(expression, leadingTo: Self.empty)
    others[expression] = result
    return result
  }

  /// Whether every character beyond U+007F leads from one state to the other.
  private func takesOthers(_ state: ExpressionID, leadingTo target: ExpressionID) -> Bool {
    var wholes = Set<[ExpressionID]>()
    // Bytes that lead to the same state are looked at once.
    func all(_ state: ExpressionID, _ bytes: ClosedRange<UInt8>, _ further: Int) -> Bool {
      let key = [state, ExpressionID(bytes.lowerBound), ExpressionID(bytes.upperBound), ExpressionID(further)]
      if wholes.contains(key) { return true }
      let row = row(state)
      var last = Self.nothing
      for byte in bytes {
        let after = row[Int(byte)]
        if further == 0 {
          guard after == target else { return false }
        } else if after != last || after == Self.nothing {
          guard after != Self.nothing, all(after, 0x80...0xBF, further - 1) else { return false }
          last = after
        }
      }
      wholes.insert(key)
      return true
    }
    func lead(_ byte: UInt8, _ second: ClosedRange<UInt8>, _ further: Int) -> Bool {
      let after = next(state, byte)
      return after != Self.nothing && all(after, second, further)
    }
    return (0xC2...0xDF).allSatisfy { lead($0, 0x80...0xBF, 0) } && lead(0xE0, 0xA0...0xBF, 1)
      && (0xE1...0xEC).allSatisfy { lead($0, 0x80...0xBF, 1) } && lead(0xED, 0x80...0x9F, 1)
      && (0xEE...0xEF).allSatisfy { lead($0, 0x80...0xBF, 1) } && lead(0xF0, 0x90...0xBF, 2)
      && (0xF1...0xF3).allSatisfy { lead($0, 0x80...0xBF, 2) } && lead(0xF4, 0x80...0x8F, 2)
  }
}

extension Expressions.Run {
  fileprivate mutating func insert(_ byte: UInt8) {
    if byte < 64 { ascii.0 |= 1 << UInt64(byte) } else { ascii.1 |= 1 << UInt64(byte - 64) }
  }
}
