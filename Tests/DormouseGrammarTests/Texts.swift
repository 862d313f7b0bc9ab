import DormouseSupport

extension RandomGenerator: RandomNumberGenerator {}

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
