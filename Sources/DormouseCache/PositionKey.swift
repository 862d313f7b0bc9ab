import DormouseSupport

/// What stands at a position of a timeline, as far as sharing goes: equal keys behind equal prefixes have equal rows.
///
/// A token of text is its id. A position of an image, video or audio is a hash of its content and its place in it, so
/// that a changed one never hits.
public struct PositionKey: Hashable, Sendable {
  public let value: UInt64

  /// Ids of tokens have 31 bits.
  private static let contentMark: UInt64 = 1 << 63

  /// Whether it is of content.
  public var isContent: Bool { value & PositionKey.contentMark != 0 }

  /// - Parameter token: an id, which is not negative.
  public init(token: Int32) { value = UInt64(UInt32(bitPattern: token)) }

  /// A key that was stored.
  public init(value: UInt64) { self.value = value }

  /// The id of a token of text; nil for content, and for a value that no key has.
  public var token: Int32? { Int32(exactly: value) }

  /// - Parameters:
  ///   - contentHash: a hash of everything that the position's row depends on, but for what is before it.
  ///   - index: the position's place in the content.
  public init(contentHash: UInt64, index: Int) {
    let words = [contentHash, UInt64(bitPattern: Int64(index))]
    value = words.withUnsafeBytes { XXHash64.hash($0) } | PositionKey.contentMark
  }
}
