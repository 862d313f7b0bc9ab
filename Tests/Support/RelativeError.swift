/// ||a - b|| / ||b||; infinite where lengths differ or a value is not finite.
func relativeError(_ a: some Collection<Float>, _ b: some Collection<Float>) -> Double {
  guard a.count == b.count else { return .infinity }
  var difference = 0.0
  var norm = 0.0
  for (x, y) in zip(a, b) {
    difference += Double(x - y) * Double(x - y)
    norm += Double(y) * Double(y)
  }
  let error = (difference / norm).squareRoot()
  return error.isFinite ? error : .infinity
}
