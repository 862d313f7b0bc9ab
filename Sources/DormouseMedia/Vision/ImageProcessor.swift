public import DormouseSupport

/// Turns images into the patches of a vision tower: scale, pad with black, normalise, cut.
public struct ImageProcessor: Sendable {
  public let configuration: ImageProcessorConfiguration

  public init(_ configuration: ImageProcessorConfiguration) { self.configuration = configuration }

  /// Numbers of a patch: 3 channels of a square.
  public var patchWidth: Int { 3 * configuration.patchSize * configuration.patchSize }

  /// Bytes that `process` takes while it works on an image of this size, beside the image and its patches.
  /// - Throws: `Failure(.invalidArgument)` for a size that no image has or that the model refuses.
  public func scratchByteCount(width: Int, height: Int, threads: Int) throws(Failure) -> Int {
    let c = configuration
    let plan = try c.rule.plan(width: width, height: height, patchSize: c.patchSize, mergeSize: c.mergeSize)
    let work = try ImageResampler.scratchByteCount(
      source: (width, height), result: (plan.width, plan.height), threads: threads)
    return try CheckedSize.sum(plan.width * plan.height * 3, work, of: "the memory to scale an image")
  }

  /// Writes the patches of an image.
  ///
  /// - Parameters:
  ///   - patches: [grid.height * grid.width, 3, patchSize, patchSize] for the image's `grid(width:height:)`.
  /// - Throws: `Failure(.invalidArgument)` for an image that the model refuses or a buffer of another size,
  ///   `.outOfMemory`.
  public func process(
    _ image: RGBImage, into patches: UnsafeMutableBufferPointer<Float>, pool: ThreadPool,
    _ interruption: Interruption = .never
  ) throws(Failure) {
    try process([image], into: patches, pool: pool, interruption)
  }

  /// Writes the patches of frames of one size, one frame after another: [frames, grid.height * grid.width, 3,
  /// patchSize, patchSize].
  /// - Throws: as `process(_:into:pool:)` of one image; `.invalidArgument` also for frames of several sizes.
  func process(
    _ frames: [RGBImage], rule: ResizeRule? = nil, into patches: UnsafeMutableBufferPointer<Float>, pool: ThreadPool,
    _ interruption: Interruption = .never
  ) throws(Failure) {
    guard let first = frames.first else { return }
    let plan = try (rule ?? configuration.rule).plan(
      width: first.width, height: first.height, patchSize: configuration.patchSize, mergeSize: configuration.mergeSize)
    let grid = PatchGrid(
      frames: frames.count, height: plan.paddedHeight / configuration.patchSize,
      width: plan.paddedWidth / configuration.patchSize)
    let expected = try CheckedSize.product(grid.patchCount(), patchWidth, of: "the numbers of an image's patches")
    guard patches.count == expected, let target = patches.baseAddress else {
      throw Failure(.invalidArgument, "the patches have room for \(patches.count) numbers; expected \(expected)")
    }
    let resampler = ImageResampler(
      source: (first.width, first.height), result: (plan.width, plan.height), filter: configuration.filter,
      arithmetic: configuration.arithmetic)
    let scaled = try AlignedBuffer(
      byteCount: plan.width * plan.height * 3, isZeroed: false, for: "an image scaled for its tower")
    guard let pixels = scaled.bound(to: UInt8.self).baseAddress else { return }
    for (index, frame) in frames.enumerated() {
      guard frame.width == first.width, frame.height == first.height else {
        throw Failure(
          .invalidArgument,
          "frame \(index) has \(frame.width) x \(frame.height) pixels and the first \(first.width) x \(first.height)")
      }
      try frame.withBytes { (bytes) throws(Failure) in
        try resampler.run(bytes, into: pixels, pool: pool, interruption)
      }
      cut(pixels, plan, grid, into: target + index * (expected / frames.count), pool)
    }
    withExtendedLifetime(scaled) {}
  }

  /// [plan.height, plan.width, 3] with black around it to [grid.height * grid.width, 3, patchSize, patchSize].
  private func cut(
    _ pixels: UnsafePointer<UInt8>, _ plan: ResizePlan, _ grid: PatchGrid, into patches: UnsafeMutablePointer<Float>,
    _ pool: ThreadPool
  ) {
    let size = configuration.patchSize
    configuration.normalization.values.withUnsafeBufferPointer { values in
      guard let values = values.baseAddress else { return }
      pool.run(grid.height) { row, _ in
        for column in 0..<grid.width {
          let patch = patches + (row * grid.width + column) * patchWidth
          for y in 0..<size {
            let line = row * size + y
            let known = line < plan.height ? min(max(plan.width - column * size, 0), size) : 0
            let source = pixels + (min(line, plan.height - 1) * plan.width + min(column * size, plan.width - 1)) * 3
            Self.cutLine(source, known, size, values, patch + y * size)
          }
        }
      }
    }
  }

  /// A line of a patch: `known` pixels of the image, then black.
  @inline(__always) private static func cutLine(
    _ source: UnsafePointer<UInt8>, _ known: Int, _ size: Int, _ values: UnsafePointer<Float>,
    _ line: UnsafeMutablePointer<Float>
  ) {
    for channel in 0..<3 {
      let table = values + channel &* 256
      let target = line + channel &* size &* size
      for x in 0..<known { target[x] = table[Int(source[x &* 3 &+ channel])] }
      for x in known..<size { target[x] = table[0] }
    }
  }
}
