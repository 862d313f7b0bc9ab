import DormouseSupport
import Glibc

/// Rotation along two axes (RoPE, arXiv 2104.09864, as VisionLLaMA, arXiv 2403.00522, has it for pictures): the pairs of a
/// head turn by column and row in turn, each two of them with the same frequency.
struct AxialRope: Sendable {
  /// Radians a patch: [head / 4].
  private let inverseFrequencies: [Float]
  /// Channels 2i and 2i + 1 turn together; else i and i + half.
  private let interleaved: Bool

  /// - Parameter headDimension: a multiple of 4.
  init(headDimension: Int, theta: Float, interleaved: Bool) {
    let axis = headDimension / 2
    inverseFrequencies = stride(from: 0, to: axis, by: 2).map { 1 / powf(theta, Float($0) / Float(axis)) }
    self.interleaved = interleaved
  }

  /// Pairs of a head.
  var pairCount: Int { 2 * inverseFrequencies.count }

  /// Writes cos and sin of a picture's patches, frame after frame: [patches, pairCount] each.
  func fill(
    _ grid: PatchGrid, cosines: UnsafeMutablePointer<Float>, sines: UnsafeMutablePointer<Float>, pool: ThreadPool
  ) {
    pool.run(grid.frames * grid.height) { line, _ in
      for column in 0..<grid.width {
        let start = (line * grid.width + column) * pairCount
        for (index, frequency) in inverseFrequencies.enumerated() {
          let angles = (Float(column) * frequency, Float(line % grid.height) * frequency)
          cosines[start + 2 * index] = cosf(angles.0)
          cosines[start + 2 * index + 1] = cosf(angles.1)
          sines[start + 2 * index] = sinf(angles.0)
          sines[start + 2 * index + 1] = sinf(angles.1)
        }
      }
    }
  }

  /// Rotates the `heads` of a patch in place and multiplies them by `scale`.
  /// - Parameters:
  ///   - x: [heads, 2 * pairCount].
  ///   - cosines, sines: [pairCount], of the patch.
  func rotate(
    _ x: UnsafeMutablePointer<Float>, heads: Int, cosines: UnsafePointer<Float>, sines: UnsafePointer<Float>,
    scale: Float
  ) {
    let half = pairCount
    let (stride, distance) = interleaved ? (2, 1) : (1, half)
    for head in 0..<heads {
      let channels = x + head &* 2 &* half
      for pair in 0..<half {
        let first = channels + pair &* stride
        let (a, b) = (first[0], first[distance])
        first[0] = (a * cosines[pair] - b * sines[pair]) * scale
        first[distance] = (b * cosines[pair] + a * sines[pair]) * scale
      }
    }
  }
}
