public import DormouseSupport

/// On what terms an image, video or audio becomes ready for a tower: what it may cost, for how much of it there is room,
/// whose memory it takes, and whether anybody still waits for it.
public struct MediaTerms: Sendable {
  /// What the host allows; they hold for files and for what was handed over in memory.
  public var limits = MediaFileOptions()
  /// Rows that there is room for; nil: any number.
  public var rowLimit: Int?
  /// Where decoded audio counts; nil: nowhere.
  public var budget: MemoryBudget?
  public var interruption = Interruption.never

  public init() {}

  /// - Throws: `Failure(.contextFull)` for more rows than there is room for.
  func checkRows(_ count: Int) throws(Failure) {
    guard let rowLimit, count > rowLimit else { return }
    throw Failure(.contextFull, "it takes \(count) tokens, more than the session's context has room for, \(rowLimit)")
  }
}

extension MediaFileOptions {
  /// Whether somebody has set a limit.
  var isLimited: Bool {
    [byteLimit, pixelLimit, frameLimit, outputLimit].contains { $0 > 0 } || secondLimit > 0 || timeLimit > 0
  }

  /// The smaller of each two limits.
  func tightened(by other: MediaFileOptions) -> MediaFileOptions {
    func smaller<Limit: Comparable & Numeric>(_ a: Limit, _ b: Limit) -> Limit { a == 0 ? b : b == 0 ? a : min(a, b) }
    var result = self
    result.byteLimit = smaller(byteLimit, other.byteLimit)
    result.pixelLimit = smaller(pixelLimit, other.pixelLimit)
    result.frameLimit = smaller(frameLimit, other.frameLimit)
    result.outputLimit = smaller(outputLimit, other.outputLimit)
    result.secondLimit = smaller(secondLimit, other.secondLimit)
    result.timeLimit = smaller(timeLimit, other.timeLimit)
    return result
  }

  // MARK: - What is held in memory

  func checkPixels(width: Int, height: Int) throws(Failure) {
    guard pixelLimit > 0, width > 0, height > 0, UInt64(width) > pixelLimit / UInt64(height) else { return }
    throw Failure(.unsupported, "an image of \(width) x \(height) pixels, more than max_pixels, \(pixelLimit)")
  }

  func checkFrames(_ count: Int) throws(Failure) {
    guard frameLimit > 0, UInt64(clamping: count) > frameLimit else { return }
    throw Failure(.unsupported, "a video of \(count) frames, more than max_frames, \(frameLimit)")
  }

  func checkSeconds(_ seconds: Double, of what: String) throws(Failure) {
    guard secondLimit > 0, seconds > secondLimit else { return }
    throw Failure(.unsupported, "\(what) of \(seconds) s, longer than max_seconds, \(secondLimit)")
  }

  /// - Parameter byteCount: what pixels or samples take once they are decoded.
  func checkOutput(_ byteCount: Int) throws(Failure) {
    guard outputLimit > 0, UInt64(clamping: byteCount) > outputLimit else { return }
    throw Failure(
      .unsupported, "its pixels or samples take \(byteCount) bytes, more than max_output_bytes, \(outputLimit)")
  }
}

extension MediaItem {
  /// The same under tighter limits.
  /// - Throws: `Failure(.unsupported)` naming the limit that it passes; for a file also what reading it again says.
  public func limited(
    by limits: MediaFileOptions, _ interruption: Interruption = .never
  ) throws(Failure) -> MediaItem {
    guard limits.isLimited else { return self }
    switch self {
    case .image(let image):
      try limits.checkPixels(width: image.width, height: image.height)
      try limits.checkOutput(image.byteCount)
      return self
    case .video(let video, let rate):
      return .video(try video.limited(by: limits, interruption), framesPerSecond: rate)
    case .audio(let audio): return .audio(try audio.limited(by: limits, interruption))
    }
  }
}

extension Video {
  public func limited(by limits: MediaFileOptions, _ interruption: Interruption) throws(Failure) -> any Video {
    try limits.checkPixels(width: width, height: height)
    try limits.checkFrames(frameCount)
    let last = timestamps.flatMap { $0.last } ?? Double(max(frameCount - 1, 0)) / framesPerSecond
    try limits.checkSeconds(last, of: "a video")
    return self
  }
}

extension Audio {
  public func limited(by limits: MediaFileOptions, _ interruption: Interruption) throws(Failure) -> any Audio {
    try limits.checkSeconds(seconds, of: "audio")
    return self
  }
}
