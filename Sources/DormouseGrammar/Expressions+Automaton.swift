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

  private func makeRow(_ state: ExpressionID) -> UnsafeMutablePointer<ExpressionID> {
    let row = UnsafeMutablePointer<ExpressionID>.allocate(capacity: 256)
    row.initialize(repeating: Self.nothing, count: 256)
    rows[Int(state)] = row
    rowCount += 1
    guard rowCount <= limits.states else {
      effort.stop(.states)
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
    effort.spend(1)
    if effort.isStopped { return }
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
      effort.spendDerivatives(memberCount(expression))
      if effort.isStopped { return Self.nothing }
      let result = makeDerivative(expression, byte)
      derivatives[key] = result
      return result
    }
  }

  /// Expressions that a derivative is put together from.
  private func memberCount(_ expression: ExpressionID) -> Int {
    switch nodes[Int(expression)] {
    case .union(let parts), .intersection(let parts): parts.count
    default: 1
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
    while let state = stack.popLast(), !effort.isStopped {
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
        if origins.count > limits.states { effort.stop(.states) }
      }
    }
    for state in origins.keys { isAlive[state] = false }
    return false
  }
}
