/// What a vocabulary's tokens, which have a greatest length, need of states.
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
  /// Characters that may come in a state in any number and order up to a length, and none of which can end the terminal.
  struct Run {
    /// In bytes; 0 where nothing is known.
    var length: UInt16 = 0
    /// Those below 0x80.
    var ascii: (UInt64, UInt64) = (0, 0)
    /// Whether all others are among them.
    var takesOthers = false
  }

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
