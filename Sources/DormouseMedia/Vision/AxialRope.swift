import DormouseLayers
import DormouseSupport
import Glibc

/// Rotation along two axes (RoPE, arXiv 2104.09864, as VisionLLaMA, arXiv 2403.00522, has it for images): half of a
/// head's pairs turn by the column, half by the row, with the same frequencies.
struct AxialRope: Sendable {
  /// Which axis a pair follows.
  enum Order: Sendable {
    /// Column and row in turn (MoonViT).
    case alternating
    /// The first half by the row, the second by the column (Qwen2-VL's towers, and dots3-note's).
    case rowsFirst
  }

  let pairs: RotaryPairs
  /// Radians a patch of each pair.
  private let columns: [Float]
  private let rows: [Float]

  /// - Parameters:
  ///   - headDimension: a multiple of 4.
  ///   - isInterleaved: channels 2i and 2i + 1 turn together; else i and i + half.
  init(headDimension: Int, theta: Float, isInterleaved: Bool, order: Order) {
    let axis = headDimension / 2
    let frequencies = stride(from: 0, to: axis, by: 2).map { 1 / powf(theta, Float($0) / Float(axis)) }
    let none = [Float](repeating: 0, count: frequencies.count)
    switch order {
    case .alternating:
      columns = frequencies.flatMap { [$0, 0] }
      rows = frequencies.flatMap { [0, $0] }
    case .rowsFirst:
      columns = none + frequencies
      rows = frequencies + none
    }
    pairs = RotaryPairs(headWidth: headDimension, count: 2 * frequencies.count, isInterleaved: isInterleaved)
  }

  /// Writes cos and sin of an image's patches, frame after frame: [patches, pairs] each.
  func fill(
    _ grid: PatchGrid, cosines: UnsafeMutablePointer<Float>, sines: UnsafeMutablePointer<Float>, pool: ThreadPool
  ) {
    pool.run(grid.frames * grid.height) { line, _ in
      let row = Float(line % grid.height)
      for column in 0..<grid.width {
        let start = (line * grid.width + column) * pairs.count
        for pair in 0..<pairs.count {
          // One of the two is nothing.
          let angle = row * rows[pair] + Float(column) * columns[pair]
          cosines[start + pair] = cosf(angle)
          sines[start + pair] = sinf(angle)
        }
      }
    }
  }
}
