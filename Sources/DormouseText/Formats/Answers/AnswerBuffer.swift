/// What of an answer is not passed on yet: UTF-8, in which a marker that its token's id told apart stands as one byte
/// that UTF-8 never has (`AnswerMarkers`). So all is found by comparing bytes, and text that looks like a marker is none.
struct AnswerBuffer: Sendable {
  /// Whether bytes that stand at a position are those looked for.
  enum Match {
    case no
    /// They may become so.
    case partly
    case yes
  }

  private(set) var bytes: [UInt8] = []
  /// All before it is passed on.
  private(set) var start = 0
  /// All before it is read.
  private(set) var position = 0
  /// Whether no more will come.
  var isEnded = false

  /// What is read and not passed on.
  var read: ArraySlice<UInt8> { bytes[start..<position] }
  var isAtEnd: Bool { position == bytes.count }
  /// The next byte to read.
  var next: UInt8? { position < bytes.count ? bytes[position] : nil }

  /// Adds text. What was passed on goes as soon as it is more than what stays, so that each byte moves once or twice.
  mutating func append(_ text: some Sequence<UInt8>) {
    if start > 0, start >= bytes.count - start {
      bytes.removeSubrange(..<start)
      position -= start
      start = 0
    }
    bytes.append(contentsOf: text)
  }

  /// Reads on by `count` bytes, which must be there.
  mutating func advance(_ count: Int = 1) { position += count }

  /// Begins reading again `offset` bytes behind what was passed on.
  mutating func rewind(to offset: Int = 0) { position = start + offset }

  /// Leaves behind the first `count` bytes of what is read.
  mutating func pass(_ count: Int) { start += count }

  /// Leaves behind all that is read.
  mutating func pass() { start = position }

  /// Whether `pattern` stands next.
  func matches(_ pattern: [UInt8]) -> Match {
    let count = min(pattern.count, bytes.count - position)
    for index in 0..<count where bytes[position + index] != pattern[index] { return .no }
    if count == pattern.count { return .yes }
    return isEnded ? .no : .partly
  }

  /// Reads `pattern` where it stands next.
  mutating func take(_ pattern: [UInt8]) -> Match {
    let match = matches(pattern)
    if match == .yes { advance(pattern.count) }
    return match
  }

  /// Reads up to the first of `patterns`, none of which begins another, and tells its index; nil where all that can be
  /// read is read, or `limit` bytes that are not passed on.
  mutating func find(_ patterns: [[UInt8]], limit: Int = .max) -> Int? {
    while position < bytes.count, position - start < limit {
      var mayBegin = false
      for index in patterns.indices where patterns[index].first == bytes[position] {
        switch matches(patterns[index]) {
        case .yes: return index
        case .partly: mayBegin = true
        case .no: break
        }
      }
      if mayBegin { return nil }
      position += 1
    }
    return nil
  }

  /// Reads over white space; over line feeds alone if asked.
  mutating func skipSpace(_ isSpace: (UInt8) -> Bool = AnswerBuffer.isSpace) {
    while position < bytes.count, isSpace(bytes[position]) { position += 1 }
  }

  static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
}
