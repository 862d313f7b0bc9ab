import DormouseSupport

/// Scales 8-bit images in two passes, rows first, with whole numbers: the bytes that the published processors get.
///
/// Its weights are computed once and serve all images, or frames, of one size.
struct ImageResampler {
  let source: (width: Int, height: Int)
  let result: (width: Int, height: Int)
  private let horizontal: ResampleAxis?
  private let vertical: ResampleAxis?

  /// Rows of a task.
  private static let rowBlock = 16
  /// Pixels that are scaled without a look at whether anybody waits.
  private static let stripePixels = 1 << 22

  /// - Parameters:
  ///   - source, result: sides from 1 to `RGBImage.maximumSide`. An axis that keeps its length is not touched.
  init(
    source: (width: Int, height: Int), result: (width: Int, height: Int), filter: ResampleFilter,
    arithmetic: ResampleArithmetic
  ) {
    self.source = source
    self.result = result
    horizontal =
      source.width == result.width
      ? nil : ResampleAxis(source: source.width, result: result.width, filter: filter, arithmetic: arithmetic)
    vertical =
      source.height == result.height
      ? nil : ResampleAxis(source: source.height, result: result.height, filter: filter, arithmetic: arithmetic)
  }

  /// Bytes of memory that `run` takes beside source and result.
  static func scratchByteCount(
    source: (width: Int, height: Int), result: (width: Int, height: Int), threads: Int
  ) throws(Failure) -> Int {
    let what = "the memory to scale an image"
    guard source.height != result.height else { return 0 }
    let isScaledTwice = source.width != result.width
    let between = isScaledTwice ? try CheckedSize.product(source.height, result.width, 3, of: what) : 0
    let sums = try CheckedSize.product(threads, result.width, 3, 4, of: what)
    return try CheckedSize.sum(between, sums, of: what)
  }

  /// - Parameters:
  ///   - pixels: [source.height, source.width, 3].
  ///   - output: [result.height, result.width, 3].
  /// - Throws: `Failure(.outOfMemory)`.
  func run(
    _ pixels: UnsafePointer<UInt8>, into output: UnsafeMutablePointer<UInt8>, pool: ThreadPool,
    _ interruption: Interruption = .never
  ) throws(Failure) {
    switch (horizontal, vertical) {
    case (nil, nil): output.update(from: pixels, count: source.width * source.height * 3)
    case (let axis?, nil): try scaleRows(pixels, axis, into: output, pool, interruption)
    case (nil, let axis?): try scaleColumns(pixels, axis, into: output, pool, interruption)
    case (let first?, let second?):
      let between = try AlignedBuffer(
        byteCount: source.height * result.width * 3, isZeroed: false, for: "an image scaled along its rows")
      guard let memory = between.bound(to: UInt8.self).baseAddress else { return }
      try scaleRows(pixels, first, into: memory, pool, interruption)
      try scaleColumns(memory, second, into: output, pool, interruption)
      withExtendedLifetime(between) {}
    }
  }

  /// [source.height, source.width, 3] to [source.height, result.width, 3].
  private func scaleRows(
    _ pixels: UnsafePointer<UInt8>, _ axis: ResampleAxis, into output: UnsafeMutablePointer<UInt8>, _ pool: ThreadPool,
    _ interruption: Interruption
  ) throws(Failure) {
    try forEachRow(source.height, width: source.width, pool, interruption) { row, _ in
      axis.weights.withUnsafeBufferPointer { weights in
        guard let weights = weights.baseAddress else { return }
        scaleRow(pixels + row * source.width * 3, axis, weights, output + row * result.width * 3)
      }
    }
  }

  private func scaleRow(
    _ row: UnsafePointer<UInt8>, _ axis: ResampleAxis, _ weights: UnsafePointer<Int32>,
    _ output: UnsafeMutablePointer<UInt8>
  ) {
    let half = Int32(1) &<< (axis.precision &- 1)
    for index in 0..<result.width {
      var pixel = row + axis.starts[index] &* 3
      let own = weights + index &* axis.capacity
      var (red, green, blue) = (half, half, half)
      for k in 0..<axis.counts[index] {
        red &+= own[k] &* Int32(pixel[0])
        green &+= own[k] &* Int32(pixel[1])
        blue &+= own[k] &* Int32(pixel[2])
        pixel += 3
      }
      output[index &* 3] = Self.byte(red, axis.precision)
      output[index &* 3 &+ 1] = Self.byte(green, axis.precision)
      output[index &* 3 &+ 2] = Self.byte(blue, axis.precision)
    }
  }

  /// [source.height, result.width, 3] to [result.height, result.width, 3].
  private func scaleColumns(
    _ pixels: UnsafePointer<UInt8>, _ axis: ResampleAxis, into output: UnsafeMutablePointer<UInt8>, _ pool: ThreadPool,
    _ interruption: Interruption
  ) throws(Failure) {
    let width = result.width * 3
    let sums = try AlignedBuffer(
      byteCount: CheckedSize.product(pool.threadCount, width, 4, of: "the memory to scale an image"),
      isZeroed: false, for: "the sums of an image's columns")
    guard let memory = sums.bound(to: Int32.self).baseAddress else { return }
    let reached = source.height / max(result.height, 1) + 1
    try forEachRow(result.height, width: result.width * reached, pool, interruption) { row, worker in
      let own = memory + worker * width
      own.update(repeating: Int32(1) &<< (axis.precision &- 1), count: width)
      for k in 0..<axis.counts[row] {
        let weight = axis.weights[row * axis.capacity + k]
        let line = pixels + (axis.starts[row] + k) * width
        for i in 0..<width { own[i] &+= weight &* Int32(line[i]) }
      }
      let line = output + row * width
      for i in 0..<width { line[i] = Self.byte(own[i], axis.precision) }
    }
    withExtendedLifetime(sums) {}
  }

  /// Asks between stripes of rows, each of about as many pixels.
  /// - Parameter width: pixels that a row is made of.
  private func forEachRow(
    _ count: Int, width: Int, _ pool: ThreadPool, _ interruption: Interruption,
    _ body: (_ row: Int, _ worker: Int) -> Void
  ) throws(Failure) {
    let stripe = max(1, Self.stripePixels / max(width, 1) / Self.rowBlock) * Self.rowBlock
    for first in stride(from: 0, to: count, by: stripe) {
      try interruption.check()
      let rows = first..<min(first + stripe, count)
      pool.run(CheckedSize.ceilingQuotient(rows.count, Self.rowBlock)) { task, worker in
        let start = rows.lowerBound + task * Self.rowBlock
        for row in start..<min(start + Self.rowBlock, rows.upperBound) { body(row, worker) }
      }
    }
  }

  @inline(__always) private static func byte(_ sum: Int32, _ precision: Int32) -> UInt8 {
    UInt8(truncatingIfNeeded: max(0, min(255, sum &>> precision)))
  }
}
