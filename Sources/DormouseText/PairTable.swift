/// What merging two tokens gives: the place in the list of merges (lower first) and the token made.
struct Merge: Sendable {
  var rank: UInt32
  var id: Int32
}

/// The merges of a BPE model by the pair of token ids: open addressing, linear probing, at most half full.
///
/// The multiplier is drawn at random, so that no file can be made to collide.
struct PairTable: Sendable {
  private var keys: [UInt64]
  private var values: [Merge]
  private let multiplier = UInt64.random(in: 0...UInt64.max) | 1
  private let shift: UInt64

  /// - Parameter count: how many pairs will be inserted at most.
  init(count: Int) {
    var bits = 4
    while 1 << bits < 2 * count { bits += 1 }
    keys = [UInt64](repeating: PairTable.empty, count: 1 << bits)
    values = [Merge](repeating: Merge(rank: 0, id: 0), count: 1 << bits)
    shift = UInt64(64 - bits)
  }

  /// Sets the merge of a pair of valid ids; a later one replaces an earlier one.
  mutating func insert(_ left: Int32, _ right: Int32, _ merge: Merge) {
    let key = PairTable.key(left, right)
    var slot = slot(of: key)
    while keys[slot] != PairTable.empty, keys[slot] != key { slot = (slot + 1) & (keys.count - 1) }
    keys[slot] = key
    values[slot] = merge
  }

  func merge(_ left: Int32, _ right: Int32) -> Merge? {
    let key = PairTable.key(left, right)
    var slot = slot(of: key)
    while keys[slot] != key {
      if keys[slot] == PairTable.empty { return nil }
      slot = (slot + 1) & (keys.count - 1)
    }
    return values[slot]
  }

  /// No pair of ids, which are never negative.
  private static let empty = UInt64.max

  private static func key(_ left: Int32, _ right: Int32) -> UInt64 {
    UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
  }

  private func slot(of key: UInt64) -> Int { Int(truncatingIfNeeded: (key &* multiplier) >> shift) }
}
