// Searches in the logits of a token, [vocabulary]. They run for every token, and therefore on vectors.

/// The place of the first number that is NaN or infinite.
public func firstNotFinite(_ numbers: UnsafeBufferPointer<Float>) -> Int? {
  let exponent = SIMD16<UInt32>(repeating: Float.infinity.bitPattern)
  return scan(numbers) { block in
    let bits = unsafeBitCast(block, to: SIMD16<UInt32>.self)
    return any(bits & exponent .== exponent)
  } one: {
    !$0.isFinite
  }
}

/// The place of the greatest number, of equal ones the first; 0 where none is greater than -infinity.
public func indexOfGreatest(_ numbers: UnsafeBufferPointer<Float>) -> Int {
  var tops = SIMD16<Float>(repeating: -.infinity)
  for start in stride(from: 0, through: numbers.count - 16, by: 16) {
    let block = sixteen(numbers, start)
    tops.replace(with: block, where: block .> tops)
  }
  var top = -Float.infinity
  for lane in 0..<16 where tops[lane] > top { top = tops[lane] }
  for value in numbers.suffix(numbers.count % 16) where value > top { top = value }
  guard top > -.infinity else { return 0 }
  let wanted = SIMD16(repeating: top)
  return scan(numbers) {
    any($0 .== wanted)
  } one: {
    $0 == top
  } ?? 0
}

/// The place of the first number for which `one` holds; `block` tells whether there is one among sixteen.
private func scan(
  _ numbers: UnsafeBufferPointer<Float>, block: (SIMD16<Float>) -> Bool, one: (Float) -> Bool
) -> Int? {
  var start = 0
  while start <= numbers.count - 16, !block(sixteen(numbers, start)) { start += 16 }
  return numbers.indices[start...].first { one(numbers[$0]) }
}

private func sixteen(_ numbers: UnsafeBufferPointer<Float>, _ start: Int) -> SIMD16<Float> {
  let offset = start * MemoryLayout<Float>.stride
  return UnsafeRawBufferPointer(numbers).loadUnaligned(fromByteOffset: offset, as: SIMD16<Float>.self)
}
