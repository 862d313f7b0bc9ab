public import DormouseSupport

/// A video as its prompt has it: which frames are seen, in which chunks, and what stands around them.
public struct VideoPlan: Sendable, Equatable {
  /// Frames that are seen together and become the tokens of one frame.
  public struct Chunk: Sendable, Equatable {
    /// The numbers of its frames in the video.
    public let frames: [Int]
    public let grid: PatchGrid
    /// Tokens of the text model.
    public let tokenCount: Int
    /// When its first frame is shown, as it stands in the prompt: `00:01:02.500`; nil where no times do.
    public let timestamp: String?
    /// How its frames are scaled.
    let rule: ResizeRule
  }

  public let chunks: [Chunk]

  /// Frames of a video, at most.
  public static let maximumFrameCount = 1 << 24
  /// Frames of it that are seen, at most: nine hours at two a second.
  public static let maximumSampledFrameCount = 1 << 16
  private static let rateRange = 1e-3...1e4

  /// - Parameters:
  ///   - frameCount: frames of the video.
  ///   - framesPerSecond: their average rate.
  ///   - timestamps: when each frame is shown, in seconds, where the rate varies; nil for frame / rate, as the published
  ///     processors have it.
  /// - Throws: `Failure(.invalidArgument)` naming what is out of range.
  public init(
    _ configuration: VideoProcessorConfiguration, frameCount: Int, framesPerSecond: Double, width: Int, height: Int,
    timestamps: [Double]? = nil
  ) throws(Failure) {
    try Self.check(frameCount, framesPerSecond, timestamps)
    let sampled = configuration.sampledFrameCount(of: frameCount, framesPerSecond: framesPerSecond)
    guard sampled <= Self.maximumSampledFrameCount else {
      throw Failure(
        .invalidArgument,
        "a video of \(frameCount) frames would be seen in \(sampled) of them; at most"
          + " \(Self.maximumSampledFrameCount) are")
    }
    let frames = configuration.sampledFrames(of: frameCount, framesPerSecond: framesPerSecond)
    var chunks: [Chunk] = []
    for start in stride(from: 0, to: frames.count, by: configuration.chunkLength) {
      let members = Array(frames[start..<min(start + configuration.chunkLength, frames.count)])
      let rule = configuration.rule(frames: members.count, ofVideo: frames.count)
      let grid = try configuration.grid(frames: members.count, width: width, height: height, rule: rule)
      let time = timestamps?[members[0]] ?? Double(members[0]) / framesPerSecond
      chunks.append(
        Chunk(
          frames: members, grid: grid, tokenCount: configuration.frame.tokenCount(grid),
          timestamp: configuration.timestampStyle?.text(seconds: time), rule: rule))
    }
    self.chunks = chunks
  }

  /// What the video is in the prompt.
  public var promptPieces: [MediaPromptPiece] {
    guard chunks.contains(where: { $0.timestamp != nil }) else {
      return [.rows(chunks.reduce(0) { $0 + $1.tokenCount })]
    }
    return chunks.flatMap { chunk -> [MediaPromptPiece] in
      let beginning = "\(chunk.timestamp ?? "")<|media_begin|>video<|media_content|>"
      return [.markup(beginning), .rows(chunk.tokenCount), .markup("<|media_end|>")]
    }
  }

  private static func check(_ frameCount: Int, _ framesPerSecond: Double, _ timestamps: [Double]?) throws(Failure) {
    guard (1...maximumFrameCount).contains(frameCount) else {
      throw Failure(.invalidArgument, "a video has \(frameCount) frames; expected 1 to \(maximumFrameCount)")
    }
    guard rateRange.contains(framesPerSecond) else {
      throw Failure(
        .invalidArgument,
        "a video has \(framesPerSecond) frames a second; expected \(rateRange.lowerBound) to \(rateRange.upperBound)")
    }
    guard let timestamps else { return }
    guard timestamps.count == frameCount else {
      throw Failure(.invalidArgument, "a video of \(frameCount) frames has \(timestamps.count) timestamps")
    }
    for (index, time) in timestamps.enumerated() where !(time >= 0 && time <= maximumSeconds) {
      throw Failure(
        .invalidArgument, "frame \(index) is shown at \(time) seconds; expected 0 to \(maximumSeconds)")
    }
  }

  /// Seconds of a video, at most: ten years.
  private static let maximumSeconds = 315_360_000.0
}

extension VideoProcessorConfiguration {
  /// How many frames are seen, of a video of `total`.
  ///
  /// Where the video has fewer frames a second than are asked for, all are seen; transformers 5.23 refuses such a video.
  func sampledFrameCount(of total: Int, framesPerSecond rate: Double) -> Int {
    let wanted: Double
    switch sampling {
    case .evenFloor: wanted = Double(total) / rate * framesPerSecond
    case .evenNearest:
      wanted = (Double(total) * min(framesPerSecond, rate) / rate).rounded(.toNearestOrEven)
    case .evenNearestWithinLimits: wanted = max(Double(total) / rate * framesPerSecond, Double(minimumFrameCount))
    }
    return max(1, min(total, Int(min(wanted, Double(total))), maximumFrameCount ?? total))
  }

  /// The numbers of the frames that are seen.
  func sampledFrames(of total: Int, framesPerSecond rate: Double) -> [Int] {
    let count = sampledFrameCount(of: total, framesPerSecond: rate)
    switch sampling {
    case .evenFloor: return (0..<count).map { $0 * total / count }
    case .evenNearest, .evenNearestWithinLimits:
      guard count > 1 else { return [0] }
      let step = Double(total - 1) / Double(count - 1)
      return (0..<count).map { min(Int((Double($0) * step).rounded(.toNearestOrEven)), total - 1) }
    }
  }

  /// The patches of a chunk of `count` frames.
  func grid(frames count: Int, width: Int, height: Int, rule: ResizeRule) throws(Failure) -> PatchGrid {
    let plan = try rule.plan(
      width: width, height: height, patchSize: frame.patchSize, mergeSize: frame.mergeSize)
    return PatchGrid(
      frames: count, height: plan.paddedHeight / frame.patchSize, width: plan.paddedWidth / frame.patchSize)
  }
}

extension VideoProcessorConfiguration.TimestampStyle {
  /// The time of day that many seconds after midnight; milliseconds are cut off, not rounded.
  func text(seconds: Double) -> String {
    let whole = Int(seconds)
    let (hours, minutes, rest) = (whole / 3600 % 24, whole / 60 % 60, whole % 60)
    let milliseconds = Int(seconds.truncatingRemainder(dividingBy: 1) * 1000)
    let clock = "\(Self.padded(minutes, 2)):\(Self.padded(rest, 2))"
    switch self {
    case .hours: return "\(Self.padded(hours, 2)):\(clock).\(Self.padded(milliseconds, 3))"
    case .minutes: return "\(clock).\(Self.padded(milliseconds, 3))"
    case .seconds: return clock
    }
  }

  private static func padded(_ number: Int, _ digits: Int) -> String {
    let text = String(number)
    return String(repeating: "0", count: max(0, digits - text.count)) + text
  }
}
