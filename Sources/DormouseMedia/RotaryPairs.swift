/// The channels of a head that turn together (RoPE, arXiv 2104.09864).
struct RotaryPairs: Sendable {
  /// Channels of a head; those behind the pairs stay as they are.
  let headWidth: Int
  let count: Int
  /// Channels 2i and 2i + 1 turn together; else i and i + count.
  let isInterleaved: Bool

  /// Rotates the `heads` of a row in place and multiplies what turns by `scale`.
  /// - Parameters:
  ///   - x: [heads, headWidth].
  ///   - cosines, sines: [count], of the row.
  func rotate(
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
