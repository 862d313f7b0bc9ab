public import DormouseSupport

/// Turns the frames of a video into the patches of a vision tower, chunk by chunk.
public struct VideoProcessor: Sendable {
  public let configuration: VideoProcessorConfiguration
  private let frames: ImageProcessor

  public init(_ configuration: VideoProcessorConfiguration) {
    self.configuration = configuration
    frames = ImageProcessor(configuration.frame)
  }

  /// Numbers of a patch: 3 channels of a square.
  public var patchWidth: Int { frames.patchWidth }

  /// The same, but that looks at `framesPerSecond`, unless it is nil.
  public func sampled(_ framesPerSecond: Double?) -> VideoProcessor {
    guard let framesPerSecond else { return self }
    var changed = configuration
    changed.framesPerSecond = framesPerSecond
    return VideoProcessor(changed)
  }

  /// Writes the patches of a chunk's frames.
  ///
  /// - Parameters:
  ///   - images: as many frames as `chunk` has, of the video's size.
  ///   - patches: [chunk.grid's patches, 3, patchSize, patchSize].
  /// - Throws: `Failure(.invalidArgument)` for another number of frames, frames of other sizes, or a buffer of another
  ///   size; `.outOfMemory`.
  public func process(
    _ images: [RGBImage], of chunk: VideoPlan.Chunk, into patches: UnsafeMutableBufferPointer<Float>, pool: ThreadPool,
    _ interruption: Interruption = .never
  ) throws(Failure) {
    guard images.count == chunk.frames.count else {
      throw Failure(.invalidArgument, "a chunk of \(chunk.frames.count) frames was given \(images.count)")
    }
    try frames.process(images, rule: chunk.rule, into: patches, pool: pool, interruption)
  }
}
