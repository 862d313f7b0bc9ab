import Glibc

/// The audio of `Tests/Fixtures/audio/synthetic_audio.py`.
enum SyntheticAudio {
  static let rate = 16000

  /// Uniform in -1..1, exact in float32: a hash of the index.
  static func noise(_ index: Int, seed: Int) -> Double {
    var x = UInt32(truncatingIfNeeded: index) &* 0x9E37_79B1 &+ UInt32(truncatingIfNeeded: seed) &* 0x85EB_CA77
    x ^= x >> 16
    x = x &* 0x7FEB_352D
    x ^= x >> 15
    x = x &* 0x846C_A68B
    x ^= x >> 16
    return Double(x >> 8) / Double(1 << 23) - 1
  }

  /// Gliding tones whose loudness swells, a chirp, noise, and half a second of silence in every two and a half.
  static func voice(_ count: Int, seed: Int) -> [Float] {
    (0..<count).map { index in
      if index / 8000 % 5 == 3 { return 0 }
      let t = Double(index) / Double(rate)
      let turn = 2 * Double.pi
      let swell = 0.5 + 0.5 * sin(turn * 1.3 * t + Double(seed))
      let tone = sin(turn * Double(220 + 35 * seed) * t + 60 * sin(turn * 0.5 * t))
      let sweep = fmod(t, 3)
      let chirp = sin(turn * (300 * sweep + 700 * sweep * sweep))
      return Float(0.4 * tone * swell + 0.15 * chirp + 0.05 * noise(index, seed: seed))
    }
  }
}
