import DormouseMedia

/// What was made of contents, by their hashes; what was used longest ago goes when they pass the limit.
struct RecentlyUsed<Value> {
  private struct Entry {
    let value: Value
    let byteCount: UInt64
    var lastUse: UInt64
  }

  private let byteLimit: UInt64
  private var entries: [ContentHash: Entry] = [:]
  private var byteCount: UInt64 = 0
  private var uses: UInt64 = 0

  init(byteLimit: UInt64) { self.byteLimit = byteLimit }

  mutating func value(_ hash: ContentHash) -> Value? {
    uses += 1
    entries[hash]?.lastUse = uses
    return entries[hash]?.value
  }

  /// Takes the place of what was there before.
  mutating func insert(_ value: Value, _ hash: ContentHash, byteCount: UInt64) {
    uses += 1
    remove(hash)
    entries[hash] = Entry(value: value, byteCount: byteCount, lastUse: uses)
    self.byteCount += byteCount
    while self.byteCount > byteLimit, dropOldest() {}
  }

  /// - Returns: false when there is nothing to drop.
  @discardableResult
  mutating func dropOldest() -> Bool {
    guard let oldest = entries.min(by: { $0.value.lastUse < $1.value.lastUse }) else { return false }
    remove(oldest.key)
    return true
  }

  private mutating func remove(_ hash: ContentHash) {
    if let entry = entries.removeValue(forKey: hash) { byteCount -= entry.byteCount }
  }
}
