import DormouseSupport
import Glibc

/// A sinc under a Kaiser window, as a table between whose values is interpolated: within 1e-11 of the formula, a thousandth
/// of what float32 can tell apart of its greatest value, in a hundredth of the time.
enum ResamplerKernel {
  /// Zeroes of the sinc on either side.
  static let zeroCount = 64.0
  private static let beta = 14.769656459379492
  /// Values between two zeroes.
  private static let density = 512.0

  /// Values at -1, 0, 1, ... steps from the middle, to three behind the end.
  private static let table: [Double] = {
    let top = besselI0(squared: beta * beta)
    return (0..<Int(zeroCount * density) + 4).map { index in
      let distance = Double(index - 1) / density
      let place = distance / zeroCount
      // Behind the window's end its formula goes on.
      let window = besselI0(squared: beta * beta * (1 - place * place)) / top
      return distance == 0 ? window : sin(Double.pi * distance) / (Double.pi * distance) * window
    }
  }()

  /// Writes `cutoff * h((first + k) * cutoff)` for k from 0 on, with h the windowed sinc.
  static func write(_ row: UnsafeMutableBufferPointer<Float>, first: Double, cutoff: Double) {
    table.withUnsafeBufferPointer { table in
      for index in row.indices {
        let distance = abs((first + Double(index)) * cutoff)
        row[index] = distance < zeroCount ? Float(value(distance * density, table) * cutoff) : 0
      }
    }
  }

  /// The cubic through the four values around `place`, in steps from the middle.
  @inline(__always) private static func value(_ place: Double, _ table: UnsafeBufferPointer<Double>) -> Double {
    let index = Int(place)
    let t = place - Double(index)
    let (a, b, c, d) = (table[index], table[index + 1], table[index + 2], table[index + 3])
    let outer = (d - a + 3 * (b - c)) / 6
    return b + t * ((c - a / 3 - b / 2 - d / 6) + t * ((a + c) / 2 - b + t * outer))
  }

  /// The modified Bessel function of the first kind and order 0, by its power series in the square of its argument.
  private static func besselI0(squared x: Double) -> Double {
    var (sum, term) = (1.0, 1.0)
    for k in 1...200 {
      term *= x / Double(4 * k * k)
      sum += term
      if abs(term) < abs(sum) * 1e-17 { break }
    }
    return sum
  }
}

/// The weights of a resampler's phases, each computed when it is first wanted. Thread: one call at a time.
final class ResamplerWeights {
  private let reach: Int
  private let tapCount: Int
  private let phaseCount: Int
  private let cutoff: Double
  /// [phases, tapCount]; of one phase where all would be too many.
  private let rows: AlignedBuffer
  private let base: UnsafeMutablePointer<Float>
  private var known: [Bool]
  private var lastPhase = -1

  /// Weights that are kept at most: 32 MiB.
  private static let keptLimit = 1 << 23

  /// - Parameters:
  ///   - reach: input samples on either side of an output that may count.
  ///   - cutoff: of the input's Nyquist frequency.
  /// - Throws: `Failure(.outOfMemory)`.
  init(reach: Int, phaseCount: Int, cutoff: Double) throws(Failure) {
    self.reach = reach
    self.phaseCount = phaseCount
    self.cutoff = cutoff
    tapCount = 2 * reach + 2
    let what = "a resampler's weights"
    let all = try CheckedSize.product(phaseCount, tapCount, of: what)
    known = all <= Self.keptLimit ? [Bool](repeating: false, count: phaseCount) : []
    rows = try AlignedBuffer(
      byteCount: CheckedSize.product(known.isEmpty ? tapCount : all, MemoryLayout<Float>.stride, of: what),
      isZeroed: false, for: what)
    guard let base = rows.bound(to: Float.self).baseAddress else {
      throw Failure(.internalError, "\(what): no memory")
    }
    self.base = base
  }

  /// Those of `phase`, valid until the next call: weight k is that of the input sample `k - reach` behind the output's.
  func row(_ phase: Int) -> UnsafePointer<Float> {
    let row = UnsafeMutableBufferPointer(start: base + (known.isEmpty ? 0 : phase * tapCount), count: tapCount)
    if known.isEmpty ? phase != lastPhase : !known[phase] {
      ResamplerKernel.write(row, first: -Double(reach) - Double(phase) / Double(phaseCount), cutoff: cutoff)
      if known.isEmpty { lastPhase = phase } else { known[phase] = true }
    }
    return UnsafePointer(base + (known.isEmpty ? 0 : phase * tapCount))
  }
}
