import DormouseLayers

/// Finds the greatest of many numbers by their bits, a byte at a time (radix select), in time linear in their number.
enum TopPositions {
  /// Values of a byte.
  static let bucketCount = 256

  /// Writes the positions of the greatest `wanted` (at most `count`) of `scores` [count] in ascending order. Of equal
  /// ones the earlier wins, and NaN is the greatest.
  ///
  /// - Parameter histogram: `bucketCount` words to work in.
  static func pick(
    _ wanted: Int, of scores: UnsafePointer<Float>, count: Int, histogram: UnsafeMutablePointer<Float>,
    into positions: UnsafeMutablePointer<Int32>
  ) {
    let buckets = UnsafeMutableRawPointer(histogram).assumingMemoryBound(to: UInt32.self)
    var (border, ties) = (UInt32(0), wanted)
    for shift: UInt32 in [24, 16, 8, 0] {
      // The bytes above this one are known.
      let known = shift == 24 ? 0 : UInt32.max << (shift + 8)
      buckets.update(repeating: 0, count: bucketCount)
      for position in 0..<count {
        let key = scores[position].sortKey
        if key & known == border { buckets[Int(key >> shift & 0xFF)] += 1 }
      }
      var bucket = bucketCount - 1
      while bucket > 0, Int(buckets[bucket]) < ties {
        ties -= Int(buckets[bucket])
        bucket -= 1
      }
      border |= UInt32(truncatingIfNeeded: bucket) << shift
    }
    var next = 0
    for position in 0..<count where next < wanted {
      let key = scores[position].sortKey
      guard key > border || (key == border && ties > 0) else { continue }
      if key == border { ties -= 1 }
      positions[next] = Int32(truncatingIfNeeded: position)
      next += 1
    }
  }
}
