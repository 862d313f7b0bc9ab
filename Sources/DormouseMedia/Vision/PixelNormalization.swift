/// What a byte of each channel is worth to the tower: three tables of 256.
struct PixelNormalization: Sendable, Equatable {
  /// The order in which float32 rounds.
  enum Order: Sendable, Equatable {
    /// `(x - mean / factor) / (std / factor)`: transformers' fused form.
    case fused(factor: Double)
    /// `(x / 255 - mean) / std`: torchvision's `to_tensor` and `normalize`.
    case divided
    /// `(x / 255 - mean) * (1 / std)`: Kimi K2.5's own `media_utils`.
    case multiplied
  }

  /// [3, 256].
  let values: [Float]

  /// - Parameters:
  ///   - mean, deviation: of each channel, in parts of the full brightness.
  init(mean: [Double], deviation: [Double], order: Order) {
    var values: [Float] = []
    for channel in 0..<3 {
      let (mean, deviation) = (mean[channel], deviation[channel])
      for byte in 0..<256 { values.append(Self.value(byte, Float(mean), Float(deviation), order)) }
    }
    self.values = values
  }

  private static func value(_ byte: Int, _ mean: Float, _ deviation: Float, _ order: Order) -> Float {
    switch order {
    case .fused(let factor):
      let whole = Float(1 / factor)
      return (Float(byte) - mean * whole) / (deviation * whole)
    case .divided: return (Float(byte) / 255 - mean) / deviation
    case .multiplied: return (Float(Double(byte) / 255) - mean) * (1 / deviation)
    }
  }
}
