/// The channels of a head that turn together (RoPE, arXiv 2104.09864).
public struct RotaryPairs: Sendable {
  /// Channels of a head; those behind the pairs stay as they are.
  public let headWidth: Int
  public let count: Int
  /// Channels 2i and 2i + 1 turn together; else i and i + count.
  public let isInterleaved: Bool

  public init(headWidth: Int, count: Int, isInterleaved: Bool) {
    self.headWidth = headWidth
    self.count = count
    self.isInterleaved = isInterleaved
  }

  /// Rotates the `heads` of a row in place and multiplies what turns by `scale`.
  /// - Parameters:
  ///   - x: [heads, headWidth].
  ///   - cosines, sines: [count], of the row.
  @inlinable public func rotate(
    _ x: UnsafeMutablePointer<Float>, heads: Int, cosines: UnsafePointer<Float>, sines: UnsafePointer<Float>,
    scale: Float = 1
  ) {
    let (stride, distance) = isInterleaved ? (2, 1) : (1, count)
    for head in 0..<heads {
      let channels = x + head &* headWidth
      for pair in 0..<count {
        let first = channels + pair &* stride
        let (a, b) = (first[0], first[distance])
        first[0] = (a * cosines[pair] - b * sines[pair]) * scale
        first[distance] = (b * cosines[pair] + a * sines[pair]) * scale
      }
    }
  }
}
