internal import CPlatform

// What is asked of memory before it is needed, into the second cache.

/// Weights are asked for this many bytes before they are used, or four rows if those are more. The second cache holds
/// them meanwhile; asked for later, or into the first cache, they come at half the speed (docs/kernels.md).
let leastAhead = 16384

/// In which order a thread reads the rows of a matrix.
struct ReadingOrder {
  let data: UnsafeRawPointer
  /// Bytes from one row to the next.
  let stride: Int
  /// Behind the last row of the product at hand.
  let last: Int
  /// The first row of the product that comes next; none below zero.
  let following: Int

  /// What is read `offset` bytes from the beginning of the matrix, counted as if the next product's rows came behind this
  /// one's. Where there is none, another thread reads what lies there.
  @inline(__always) func address(_ offset: Int) -> UnsafeRawPointer? {
    if offset < last &* stride { return data + offset }
    return following < 0 ? nil : data + (offset &+ (following &- last) &* stride)
  }
}

/// The first weights of a product, as many as are asked for ahead later on.
@inline(__always) func prefetchBeginning(_ p: UnsafeRawPointer, _ byteCount: Int) {
  prefetchLines(p, byteCount < leastAhead ? byteCount : leastAhead)
}

/// Into the second cache.
@inline(__always) func prefetchLines(_ p: UnsafeRawPointer, _ byteCount: Int) {
  var i = 0
  while i < byteCount {
    platform_prefetch_second(p + i)
    i &+= 64
  }
}
