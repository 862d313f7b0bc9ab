/// SplitMix64: the same numbers on every run.
struct Random: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}

/// All texts over the letters, up to a length.
func allTexts(_ letters: String, upTo length: Int) -> [String] {
  var result = [""]
  var last = [""]
  for _ in 0..<length {
    last = last.flatMap { text in letters.map { text + String($0) } }
    result += last
  }
  return result
}
