import Glibc

/// Triangular filters whose corners are evenly spaced on Slaney's mel scale, each of the same area (Auditory Toolbox,
/// Slaney 1998; `mel_filter_bank` of transformers 5.23 with `norm` and `mel_scale` "slaney").
struct MelFilterBank: Sendable {
  struct Filter: Sendable {
    /// The first bin of the spectrum that is not multiplied by zero.
    var firstBin: Int
    var weights: [Float]
  }

  let filters: [Filter]

  /// - Parameters:
  ///   - binCount: bins of a spectrum from 0 to half the sampling rate; at least 2.
  ///   - samplingRate: samples a second; the filters end at 8 kHz whatever it is.
  init(filterCount: Int, binCount: Int, samplingRate: Int) {
    let top = Self.mel(Self.maximumFrequency)
    let corners = (0..<filterCount + 2).map { Self.hertz(top * Double($0) / Double(filterCount + 1)) }
    let width = Double(samplingRate / 2) / Double(binCount - 1)
    filters = (0..<filterCount).map { index in
      let (low, centre, high) = (corners[index], corners[index + 1], corners[index + 2])
      let values = (0..<binCount).map { bin in
        let frequency = Double(bin) * width
        let height = min((frequency - low) / (centre - low), (high - frequency) / (high - centre))
        return Float(max(0, height) * 2 / (high - low))
      }
      let first = values.firstIndex { $0 > 0 } ?? 0
      let last = values.lastIndex { $0 > 0 } ?? first
      return Filter(firstBin: first, weights: Array(values[first...last]))
    }
  }

  private static let maximumFrequency = 8000.0
  /// The scale is linear up to here, and logarithmic above.
  private static let borderFrequency = 1000.0
  private static let borderMel = 15.0
  private static let logarithmicStep = 27 / log(6.4)

  private static func mel(_ hertz: Double) -> Double {
    hertz < borderFrequency ? 3 * hertz / 200 : borderMel + log(hertz / borderFrequency) * logarithmicStep
  }

  private static func hertz(_ mel: Double) -> Double {
    mel < borderMel ? 200 * mel / 3 : borderFrequency * exp((mel - borderMel) / logarithmicStep)
  }
}
