import DormouseSupport
import Glibc

/// Numbers of eight frames side by side, one in each lane.
typealias FrameVector = SIMD8<Float>

/// The squared magnitudes of the discrete Fourier transforms of eight real signals at once, each in a vector lane.
///
/// `X[k] = sum over n of x[n] exp(-2 pi i k n / count)`. A complex transform of half the length, by Stockham's method
/// with radices 2, 3, 4 and 5 (Cochran et al. 1967), and the split of its result into the real signal's spectrum.
/// Lanes never mix: what a frame gives does not depend on its neighbours.
final class RealFourier: @unchecked Sendable {
  struct Complex {
    var re: FrameVector
    var im: FrameVector
  }

  /// Points of a transform.
  let count: Int
  /// Points of the complex transform.
  let half: Int
  private let radices: [Int]
  /// Pairs of cosine and sine: for each stage the `radix - 1` factors of each of its groups, and then, from `splitAt`
  /// on, `half / 2 + 1` of the split.
  private let factors: AlignedBuffer
  private let splitAt: Int

  static func supports(_ count: Int) -> Bool { count > 0 && count % 2 == 0 && radices(of: count / 2) != nil }

  /// - Parameter count: one that `supports` accepts.
  init(count: Int) throws(Failure) {
    guard RealFourier.supports(count), let radices = RealFourier.radices(of: count / 2) else {
      throw Failure(.unsupported, "a Fourier transform of \(count) points")
    }
    self.count = count
    half = count / 2
    self.radices = radices
    var angles: [Double] = []
    var length = half
    for radix in radices {
      let groups = length / radix
      for group in 0..<groups {
        for branch in 1..<radix { angles.append(Double(group * branch) / Double(length)) }
      }
      length = groups
    }
    splitAt = angles.count
    for k in 0...half / 2 { angles.append(Double(k) / Double(count)) }
    factors = try AlignedBuffer(byteCount: angles.count * 2 * MemoryLayout<Float>.stride, for: "Fourier factors")
    let table = factors.bound(to: Float.self)
    for (index, turns) in angles.enumerated() {
      table[2 * index] = Float(cos(2 * Double.pi * turns))
      table[2 * index + 1] = Float(-sin(2 * Double.pi * turns))
    }
  }

  /// Vectors of scratch memory that `powers` needs beside its input.
  var scratchCount: Int { 2 * half }

  /// - Parameters:
  ///   - x: `half` pairs of samples, even ones in `re`, odd ones in `im`; overwritten.
  ///   - scratch: `half` complex vectors.
  ///   - out: [half + 1].
  func powers(
    _ x: UnsafeMutablePointer<Complex>, scratch: UnsafeMutablePointer<Complex>,
    into out: UnsafeMutablePointer<FrameVector>
  ) {
    guard var factor = UnsafePointer(factors.bound(to: SIMD2<Float>.self).baseAddress) else { return }
    let split = factor + splitAt
    var (from, to) = (x, scratch)
    var length = half
    for radix in radices {
      let groups = length / radix
      let stage = Stage(from: from, to: to, groups: groups, span: half / length, factors: factor)
      switch radix {
      case 2: stage.two()
      case 3: stage.three()
      case 4: stage.four()
      default: stage.five()
      }
      factor += groups * (radix - 1)
      (from, to) = (to, from)
      length = groups
    }
    splitPowers(from, split, out)
  }

  /// The spectrum of even and odd samples apart, put together: with Z of length N / 2,
  /// `X[k] = (Z[k] + conj Z[N/2 - k]) / 2 - i exp(-2 pi i k / N) (Z[k] - conj Z[N/2 - k]) / 2`.
  private func splitPowers(
    _ z: UnsafePointer<Complex>, _ factor: UnsafePointer<SIMD2<Float>>, _ out: UnsafeMutablePointer<FrameVector>
  ) {
    out[0] = (z[0].re + z[0].im) * (z[0].re + z[0].im)
    out[half] = (z[0].re - z[0].im) * (z[0].re - z[0].im)
    guard half > 1 else { return }
    for k in 1...half / 2 {
      let (a, b) = (z[k], z[half - k])
      let even = Complex(re: (a.re + b.re) * 0.5, im: (a.im - b.im) * 0.5)
      let odd = Complex(re: (a.im + b.im) * 0.5, im: (b.re - a.re) * 0.5)
      let turned = odd.turned(factor[k])
      out[k] = (even + turned).power
      out[half - k] = (even - turned).power
    }
  }

  /// The factors of `count`, large ones first; nil where there are others.
  private static func radices(of count: Int) -> [Int]? {
    var rest = count
    var result: [Int] = []
    for radix in [5, 4, 3, 2] {
      while rest % radix == 0 {
        result.append(radix)
        rest /= radix
      }
    }
    return rest == 1 ? result : nil
  }
}

extension RealFourier.Complex {
  @inline(__always) static func + (a: Self, b: Self) -> Self { Self(re: a.re + b.re, im: a.im + b.im) }
  @inline(__always) static func - (a: Self, b: Self) -> Self { Self(re: a.re - b.re, im: a.im - b.im) }
  @inline(__always) static func * (a: Self, b: Float) -> Self { Self(re: a.re * b, im: a.im * b) }

  /// Times -i.
  @inline(__always) var rotated: Self { Self(re: im, im: -re) }
  /// Times the complex number `factor`.
  @inline(__always) func turned(_ factor: SIMD2<Float>) -> Self {
    Self(re: re * factor.x - im * factor.y, im: re * factor.y + im * factor.x)
  }
  /// The squared magnitude.
  @inline(__always) var power: FrameVector { re * re + im * im }
}

/// One pass of Stockham's method: `groups` butterflies with the same factors, each for `span` neighbours.
private struct Stage {
  typealias Complex = RealFourier.Complex

  /// Branch k of group q begins at `from + span * (q + groups * k)`, and its result at `to + span * (radix * q + k)`.
  let from: UnsafePointer<Complex>
  let to: UnsafeMutablePointer<Complex>
  let groups: Int
  let span: Int
  let factors: UnsafePointer<SIMD2<Float>>

  init(
    from: UnsafeMutablePointer<Complex>, to: UnsafeMutablePointer<Complex>, groups: Int, span: Int,
    factors: UnsafePointer<SIMD2<Float>>
  ) {
    self.from = UnsafePointer(from)
    self.to = to
    self.groups = groups
    self.span = span
    self.factors = factors
  }

  func two() {
    for q in 0..<groups {
      let w = factors[q]
      for t in 0..<span {
        let x = from + (span * q + t)
        let y = to + (span * 2 * q + t)
        let (a, b) = (x[0], x[span * groups])
        y[0] = a + b
        y[span] = (a - b).turned(w)
      }
    }
  }

  func three() {
    let sine = Float(0.75).squareRoot()
    for q in 0..<groups {
      let w = factors + 2 * q
      for t in 0..<span {
        let x = from + (span * q + t)
        let y = to + (span * 3 * q + t)
        let (a, b, c) = (x[0], x[span * groups], x[2 * span * groups])
        let sum = b + c
        let difference = (b - c).rotated * sine
        let middle = a - sum * 0.5
        y[0] = a + sum
        y[span] = (middle + difference).turned(w[0])
        y[2 * span] = (middle - difference).turned(w[1])
      }
    }
  }

  func four() {
    for q in 0..<groups {
      let w = factors + 3 * q
      for t in 0..<span {
        let x = from + (span * q + t)
        let y = to + (span * 4 * q + t)
        let (a, b, c, d) = (x[0], x[span * groups], x[2 * span * groups], x[3 * span * groups])
        let (ac, bd) = (a + c, b + d)
        let (difference, turned) = (a - c, (b - d).rotated)
        y[0] = ac + bd
        y[span] = (difference + turned).turned(w[0])
        y[2 * span] = (ac - bd).turned(w[1])
        y[3 * span] = (difference - turned).turned(w[2])
      }
    }
  }

  func five() {
    let (c1, s1) = (Float(cos(0.4 * Double.pi)), Float(sin(0.4 * Double.pi)))
    let (c2, s2) = (Float(cos(0.8 * Double.pi)), Float(sin(0.8 * Double.pi)))
    for q in 0..<groups {
      let w = factors + 4 * q
      for t in 0..<span {
        let x = from + (span * q + t)
        let y = to + (span * 5 * q + t)
        let step = span * groups
        let a = x[0]
        let (sum1, sum2) = (x[step] + x[4 * step], x[2 * step] + x[3 * step])
        let (difference1, difference2) = ((x[step] - x[4 * step]).rotated, (x[2 * step] - x[3 * step]).rotated)
        let (real1, real2) = (a + sum1 * c1 + sum2 * c2, a + sum1 * c2 + sum2 * c1)
        let (turned1, turned2) = (difference1 * s1 + difference2 * s2, difference1 * s2 - difference2 * s1)
        y[0] = a + sum1 + sum2
        y[span] = (real1 + turned1).turned(w[0])
        y[2 * span] = (real2 + turned2).turned(w[1])
        y[3 * span] = (real2 - turned2).turned(w[2])
        y[4 * span] = (real1 - turned1).turned(w[3])
      }
    }
  }
}
