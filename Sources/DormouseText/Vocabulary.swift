internal import DormouseSupport
import Glibc

/// All tokens of a tokenizer: their bytes by id, and their ids by bytes or by name.
struct Vocabulary: Sendable {
  /// Ids end below this; a larger one is a mistake in the file, and would cost a table of its size.
  static let idLimit = 1 << 21

  /// The bytes of all tokens, one after the other.
  private var bytes: [UInt8] = []
  /// By id: where the token's bytes are; an empty range for an id without a token.
  private var ranges: [Range<UInt32>]
  /// Tokens spelled in the byte alphabet, by the bytes they stand for: open addressing, ids, -1 for an empty slot.
  private var slots: [Int32]
  /// Tokens with a character outside the byte alphabet, by name.
  private var names: [ExactString: Int32] = [:]
  /// The token that is the empty string, as the multilingual Whisper models have one. Nothing is encoded as it.
  private var emptyToken: Int32?
  private(set) var longestToken = 0

  /// - Parameters:
  ///   - idCount: ids are below this, which is at most `idLimit`.
  ///   - tokenCount: how many tokens will be added at most.
  init(idCount: Int, tokenCount: Int) {
    ranges = [Range<UInt32>](repeating: 0..<0, count: idCount)
    var size = 16
    while size < 2 * tokenCount { size *= 2 }
    slots = [Int32](repeating: -1, count: size)
  }

  /// One more than the largest id.
  var count: Int { ranges.count }

  /// The bytes of token `id`; nil when no token has this id.
  func withBytes<Result>(of id: Int32, _ body: (UnsafeRawBufferPointer) -> Result) -> Result? {
    guard contains(id) else { return nil }
    let range = ranges[Int(id)]
    return bytes.withUnsafeBytes {
      body(UnsafeRawBufferPointer(rebasing: $0[Int(range.lowerBound)..<Int(range.upperBound)]))
    }
  }

  func contains(_ id: Int32) -> Bool {
    id >= 0 && Int(id) < ranges.count && (!ranges[Int(id)].isEmpty || id == emptyToken)
  }

  /// Adds a token written as in a `tokenizer.json`, with its bytes in the byte alphabet where that is possible.
  mutating func add(name: String, id: Int32) throws(Failure) {
    if name.isEmpty { return try addEmpty(id) }
    let start = bytes.count
    if ByteAlphabet.append(name, to: &bytes) {
      try place(id, from: start, name: name)
      try insertSlot(id, name: name)
    } else {
      bytes += name.utf8
      try place(id, from: start, name: name)
      if names.updateValue(id, forKey: ExactString(name)) != nil {
        throw Failure(.malformed, "token \(Excerpt.name(name)) is there twice")
      }
    }
  }

  private mutating func addEmpty(_ id: Int32) throws(Failure) {
    if let emptyToken { throw Failure(.malformed, "token '' is there twice, with ids \(emptyToken) and \(id)") }
    try requireFree(id, name: "")
    emptyToken = id
  }

  /// Adds a token of one byte or more.
  mutating func add(bytes token: [UInt8], id: Int32) throws(Failure) {
    let start = bytes.count
    bytes += token
    try place(id, from: start, name: String(decoding: token, as: UTF8.self))
    try insertSlot(id, name: String(decoding: token, as: UTF8.self))
  }

  /// Adds a control token known by its name, whose bytes may be those of an ordinary token too.
  mutating func add(control name: String, id: Int32) throws(Failure) {
    let start = bytes.count
    ByteAlphabet.appendDecoded(name, to: &bytes)
    if Int(id) >= ranges.count, Int(id) < Vocabulary.idLimit {
      ranges += [Range<UInt32>](repeating: 0..<0, count: Int(id) + 1 - ranges.count)
    }
    try place(id, from: start, name: name)
    names[ExactString(name)] = id
  }

  /// The id of the ordinary token with exactly these bytes.
  func id(ofBytes token: UnsafeRawBufferPointer) -> Int32? {
    if token.isEmpty { return emptyToken }
    if token.count > longestToken { return nil }
    var slot = slot(of: token)
    while slots[slot] >= 0 {
      let id = slots[slot]
      if isToken(id, equalTo: token) { return id }
      slot = (slot + 1) & (slots.count - 1)
    }
    return nil
  }

  /// The id of the token that a file calls `name`.
  func id(ofName name: String) -> Int32? {
    if let id = names[ExactString(name)] { return id }
    var spelled: [UInt8] = []
    guard ByteAlphabet.append(name, to: &spelled) else { return nil }
    return spelled.withUnsafeBytes { id(ofBytes: $0) }
  }

  private func requireFree(_ id: Int32, name: String) throws(Failure) {
    guard id >= 0, Int(id) < ranges.count else {
      throw Failure(
        .malformed, "token \(Excerpt.name(name)) has id \(id), expected 0 to \(Vocabulary.idLimit - 1)")
    }
    guard !contains(id) else {
      throw Failure(
        .malformed, "tokens \(Excerpt.name(displayName(of: id))) and \(Excerpt.name(name)) have the same id \(id)")
    }
  }

  private mutating func place(_ id: Int32, from start: Int, name: String) throws(Failure) {
    try requireFree(id, name: name)
    guard let from = UInt32(exactly: start), let to = UInt32(exactly: bytes.count), to > from else {
      throw Failure(.malformed, "token with id \(id) is empty, or all tokens together are larger than 4 GiB")
    }
    ranges[Int(id)] = from..<to
    longestToken = max(longestToken, bytes.count - start)
  }

  private func displayName(of id: Int32) -> String {
    withBytes(of: id) { String(decoding: $0, as: UTF8.self) } ?? ""
  }

  private mutating func insertSlot(_ id: Int32, name: String) throws(Failure) {
    let range = ranges[Int(id)]
    let (slot, isTaken) = bytes.withUnsafeBytes { all in
      let token = UnsafeRawBufferPointer(rebasing: all[Int(range.lowerBound)..<Int(range.upperBound)])
      var slot = self.slot(of: token)
      while slots[slot] >= 0 {
        if isToken(slots[slot], equalTo: token) { return (slot, true) }
        slot = (slot + 1) & (slots.count - 1)
      }
      return (slot, false)
    }
    if isTaken {
      throw Failure(.malformed, "token \(Excerpt.name(name)) is there twice, with ids \(slots[slot]) and \(id)")
    }
    slots[slot] = id
  }

  /// - Parameter id: of a token that is there.
  private func isToken(_ id: Int32, equalTo token: UnsafeRawBufferPointer) -> Bool {
    let range = ranges[Int(id)]
    guard range.count == token.count else { return false }
    return bytes.withUnsafeBytes { all in
      guard let left = all.baseAddress, let right = token.baseAddress else { return false }
      return memcmp(left + Int(range.lowerBound), right, token.count) == 0
    }
  }

  /// Swift's hasher has a seed of its own in every process, so no file can be made to collide.
  private func slot(of token: UnsafeRawBufferPointer) -> Int {
    var hasher = Hasher()
    hasher.combine(bytes: token)
    return hasher.finalize() & (slots.count - 1)
  }
}
