import Glibc

/// How an image is scaled, by the numbers that `resample` has in configs (Pillow's `Resampling`).
public enum ResampleFilter: Int, Sendable, CaseIterable {
  case lanczos = 1
  case bilinear = 2
  case bicubic = 3

  /// Half the width of the filter, in pixels of the coarser grid.
  var support: Double {
    switch self {
    case .lanczos: 3
    case .bilinear: 1
    case .bicubic: 2
    }
  }

  func value(_ distance: Double) -> Double {
    let x = abs(distance)
    guard x < support else { return 0 }
    switch self {
    case .bilinear: return 1 - x
    case .lanczos: return Self.sinc(x) * Self.sinc(x / 3)
    case .bicubic:
      // Keys 1981 with a = -1/2.
      return x < 1 ? (1.5 * x - 2.5) * x * x + 1 : ((-0.5 * x + 2.5) * x - 4) * x + 2
    }
  }

  private static func sinc(_ x: Double) -> Double { x == 0 ? 1 : sin(x * .pi) / (x * .pi) }
}

/// The whole-number arithmetic in which 8-bit pixels are scaled. Both round to 8 bits between the two axes.
public enum ResampleArithmetic: Sendable, Equatable {
  /// Weights of 22 bits behind the point (Pillow, `Resample.c`).
  case pillow
  /// Weights of 16 bits with as many of them behind the point as the greatest weight leaves (PyTorch's
  /// `interpolate(antialias=True)` on uint8, which torchvision's `resize` calls).
  case torchvision
}

/// For each pixel of the result along one axis, which pixels of the source it is made of: an antialiased filter, wider
/// than a source pixel where the axis shrinks.
struct ResampleAxis {
  /// First source pixel and number of pixels of each result pixel.
  let starts: [Int]
  let counts: [Int]
  /// [results, capacity]: weights times 2^precision.
  let weights: [Int32]
  let capacity: Int
  let precision: Int32

  /// - Parameters:
  ///   - source, result: pixels, from 1 to `RGBImage.maximumSide`.
  init(source: Int, result: Int, filter: ResampleFilter, arithmetic: ResampleArithmetic) {
    let scale = Double(source) / Double(result)
    let stretch = max(scale, 1)
    let support = filter.support * stretch
    let capacity = min(Int(support.rounded(.up)) * 2 + 1, source)
    var starts: [Int] = []
    var counts: [Int] = []
    var values = [Double](repeating: 0, count: result * capacity)
    var greatest = 0.0
    for index in 0..<result {
      let center = scale * (Double(index) + 0.5)
      let start = max(Int(center - support + 0.5), 0)
      let count = min(max(min(Int(center + support + 0.5), source) - start, 0), capacity)
      var total = 0.0
      for k in 0..<count {
        let value = filter.value((Double(k + start) - center + 0.5) * (1 / stretch))
        values[index * capacity + k] = value
        total += value
      }
      for k in 0..<count where total != 0 {
        values[index * capacity + k] /= total
        greatest = max(greatest, values[index * capacity + k])
      }
      starts.append(start)
      counts.append(count)
    }
    let precision = Self.precision(arithmetic, greatest: greatest)
    self.starts = starts
    self.counts = counts
    self.capacity = capacity
    self.precision = precision
    let one = Double(1 << precision)
    weights = values.map { Int32(truncatingIfNeeded: Int($0 * one + ($0 < 0 ? -0.5 : 0.5))) }
  }

  private static func precision(_ arithmetic: ResampleArithmetic, greatest: Double) -> Int32 {
    switch arithmetic {
    case .pillow: return 22
    case .torchvision:
      // The greatest weight must stay below 2^15 as a whole number.
      var precision: Int32 = 0
      while precision < 22, Int(0.5 + greatest * Double(1 << (precision + 1))) < 1 << 15 { precision += 1 }
      return precision
    }
  }
}
