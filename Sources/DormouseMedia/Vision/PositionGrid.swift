import DormouseKernels
import DormouseLayers
import DormouseSupport
import Glibc

/// Learned positions on a fixed grid, brought to an image's grid, and sinusoids for the frames of a chunk.
///
/// As `F.interpolate(mode="bicubic")` without antialiasing (transformers 5.23
/// `vision_utils.get_vision_interpolation_indices_and_weights`): Keys 1981 with a = -3/4, half-pixel centres, the border
/// repeated.
struct PositionGrid: Sendable {
  private let height: Int
  private let width: Int
  private let hidden: Int
  /// [height, width, hidden].
  private let table: FloatVector
  /// [frames, hidden]: sines, then cosines.
  private let times: [Float]

  init(_ positions: VisionConfiguration.Positions, hidden: Int, table: FloatVector) {
    height = positions.height
    width = positions.width
    self.hidden = hidden
    self.table = table
    times = Self.times(frames: positions.frames, hidden: hidden)
  }

  private static func times(frames: Int, hidden: Int) -> [Float] {
    let half = hidden / 2
    let frequencies = (0..<half).map { 1 / powf(10_000, Float(2 * $0) / Float(hidden)) }
    var times: [Float] = []
    for frame in 0..<frames {
      times += frequencies.map { sinf(Float(frame) * $0) }
      times += frequencies.map { cosf(Float(frame) * $0) }
    }
    return times
  }

  /// Adds its position to each patch of an image, and to each of several frames its time.
  /// - Parameter rows: [patches, hidden], frame after frame.
  func add(to rows: UnsafeMutablePointer<Float>, _ grid: PatchGrid, kernels: Kernels, pool: ThreadPool) {
    let columns = (0..<grid.width).map { Taps(index: $0, size: grid.width, side: width) }
    pool.run(grid.height) { line, _ in
      let taps = Taps(index: line, size: grid.height, side: height)
      for column in 0..<grid.width {
        let first = rows + (line * grid.width + column) * hidden
        for frame in 0..<grid.frames {
          let row = first + frame * grid.height * grid.width * hidden
          add(taps, columns[column], to: row, kernels)
          if grid.frames > 1 { addTime(frame, to: row, kernels) }
        }
      }
    }
  }

  private func add(_ rowTaps: Taps, _ columnTaps: Taps, to row: UnsafeMutablePointer<Float>, _ kernels: Kernels) {
    for i in 0..<4 {
      for j in 0..<4 {
        let weight = rowTaps.weights[i] * columnTaps.weights[j]
        guard weight != 0 else { continue }
        let place = Int(rowTaps.places[i]) * width + Int(columnTaps.places[j])
        kernels.addScaled(row, weight, table.pointer + place * hidden, count: hidden)
      }
    }
  }

  private func addTime(_ frame: Int, to row: UnsafeMutablePointer<Float>, _ kernels: Kernels) {
    times.withUnsafeBufferPointer { times in
      guard let base = times.baseAddress else { return }
      kernels.addScaled(row, 1, base + frame * hidden, count: hidden)
    }
  }
}

/// The four places of an axis between which a target place lies, and how much each of them counts.
private struct Taps {
  let places: SIMD4<Int32>
  let weights: SIMD4<Float>

  /// - Parameters:
  ///   - index, size: the target place and the number of them.
  ///   - side: places of the source.
  init(index: Int, size: Int, side: Int) {
    let source = (Float(index) + 0.5) * Float(side) / Float(size) - 0.5
    let floor = source.rounded(.down)
    let offsets = SIMD4<Float>(-1, 0, 1, 2)
    let last = Float(side - 1)
    places = SIMD4<Int32>((offsets + floor).clamped(lowerBound: .zero, upperBound: SIMD4(repeating: last)))
    var weights = SIMD4<Float>.zero
    for tap in 0..<4 { weights[tap] = Self.weight(abs(source - floor - offsets[tap])) }
    self.weights = weights
  }

  private static func weight(_ distance: Float) -> Float {
    let a: Float = -0.75
    if distance <= 1 { return ((a + 2) * distance - (a + 3)) * distance * distance + 1 }
    return ((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a
  }
}
