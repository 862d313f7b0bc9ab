import Glibc

/// Definitions in double precision.
enum Reference {
  /// The log-mel energies of one frame: Hann window, discrete Fourier transform and filters by their formulas.
  static func energies(_ samples: [Float], channels: Int) -> [Float] {
    let count = samples.count
    let powers = (0...count / 2).map { bin in
      var (re, im) = (0.0, 0.0)
      for n in 0..<count {
        let angle = 2 * Double.pi * Double(bin * n % count) / Double(count)
        let value = Double(samples[n]) * (0.5 - 0.5 * cos(2 * Double.pi * Double(n) / Double(count)))
        re += value * cos(angle)
        im -= value * sin(angle)
      }
      return re * re + im * im
    }
    func mel(_ hertz: Double) -> Double { hertz < 1000 ? hertz * 3 / 200 : 15 + log(hertz / 1000) * 27 / log(6.4) }
    func hertz(_ mel: Double) -> Double { mel < 15 ? mel * 200 / 3 : 1000 * exp((mel - 15) * log(6.4) / 27) }
    return (0..<channels).map { channel in
      let corners = (channel...channel + 2).map { hertz(mel(8000) * Double($0) / Double(channels + 1)) }
      var energy = 0.0
      for bin in powers.indices {
        let frequency = 8000 * Double(bin) / Double(powers.count - 1)
        let rise = (frequency - corners[0]) / (corners[1] - corners[0])
        let fall = (corners[2] - frequency) / (corners[2] - corners[1])
        energy += powers[bin] * max(0, min(rise, fall)) * 2 / (corners[2] - corners[0])
      }
      return Float(log10(max(energy, 1e-10)))
    }
  }
}
