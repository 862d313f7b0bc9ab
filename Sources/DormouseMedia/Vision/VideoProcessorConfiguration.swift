import DormouseLayers
public import DormouseSupport

/// The checked content of a folder's video processor: which frames are seen, and how they become patches.
public struct VideoProcessorConfiguration: Sendable, Equatable {
  /// How a frame becomes patches.
  public internal(set) var frame: ImageProcessorConfiguration
  /// Frames a second of the video that are seen.
  public internal(set) var framesPerSecond: Double
  /// Frames of a chunk: they are seen together, and their average is what the text model gets.
  public internal(set) var chunkLength: Int
  public internal(set) var sampling: Sampling
  /// Frames of a video, at least, as far as it has them.
  public internal(set) var minimumFrameCount = 1
  /// Frames of a video, at most; nil for no limit.
  public internal(set) var maximumFrameCount: Int?
  /// Patches of a chunk's frames together, at most; nil for no limit.
  public internal(set) var maximumChunkPatches: Int?
  /// Tokens of each frame, at most, where the file asks for that; nil for no limit but that of the video.
  public internal(set) var maximumFrameTokens: Int?
  /// Nil where no times stand in the prompt.
  public internal(set) var timestampStyle: TimestampStyle?

  /// Which frames stand for a video of N, of which n are seen.
  public enum Sampling: Sendable, Equatable {
    /// Frame i N / n, rounded down (transformers 5.23 `default_sample_indices_fn`).
    case evenFloor
    /// n points from the first to the last frame, each rounded to the nearest (Kimi K2.5's own processor).
    case evenNearest
    /// n rounded down and kept within limits, then as `evenNearest` (transformers 5.23 `Qwen3VLVideoProcessor`).
    case evenNearestWithinLimits
  }

  /// How a chunk's time stands in the prompt.
  public enum TimestampStyle: String, Sendable, CaseIterable {
    case hours = "hh:mm:ss.fff"
    case minutes = "mm:ss.fff"
    case seconds = "mm:ss"
  }

  /// Reads the video processor of a model's folder; the class defaults of `Kimi_K25VideoProcessor` where no file is.
  ///
  /// As transformers looks for it: `video_processor` in `processor_config.json`, `video_preprocessor_config.json`,
  /// `preprocessor_config.json`.
  /// - Throws: `Failure` naming file, field, value and expectation.
  public static func load(folder: String) throws(Failure) -> VideoProcessorConfiguration {
    let (fields, isNested) = try ProcessorFiles.video(folder: folder)
    return isNested ? try Self(transformers: fields) : try Self(fields)
  }

  /// The content of a `video_preprocessor_config.json` or `preprocessor_config.json`, in whichever layout it has.
  /// - Throws: `Failure` naming file, field, value and expectation; `.unsupported` for a model that sees images only.
  public init(_ fields: JSONFields) throws(Failure) {
    if let own = try fields.fields("media_proc_cfg") {
      try self.init(kimiK25: own)
    } else if fields.has("in_token_limit") {
      throw Failure(.unsupported, "\(fields.file): this model sees images, not videos")
    } else {
      try self.init(transformers: fields)
    }
  }

  /// transformers 5.23 `Kimi_K25VideoProcessor`, whose class defaults stand where a field is missing.
  init(transformers fields: JSONFields) throws(Failure) {
    frame = try ImageProcessorConfiguration(transformers: fields)
    let patches = try fields.optionalInteger("max_patches", ProcessorFiles.patchCountRange) ?? 4096
    frame.rule = .patchesAndSide(maximumPatches: patches, maximumSide: try ProcessorFiles.side(fields, default: 512))
    framesPerSecond = try fields.optionalNumber("fps", Self.rateRange) ?? 2
    chunkLength = try fields.optionalInteger("temporal_patch_size", Self.chunkRange) ?? 4
    guard try fields.optionalBoolean("do_sample_frames") ?? true else {
      throw fields.unsupported("do_sample_frames", .bool(false), supported: "true")
    }
    if let count = fields.value("num_frames") { throw fields.unsupported("num_frames", count, supported: "null") }
    sampling = .evenFloor
    timestampStyle = .hours
  }

  /// Kimi K2.5's own layout: the fields of `media_proc_cfg`.
  init(kimiK25 fields: JSONFields) throws(Failure) {
    frame = try ImageProcessorConfiguration(kimiK25: fields)
    if let limit = try fields.optionalInteger("in_patch_limit_each_frame", ProcessorFiles.patchCountRange) {
      frame.rule = .patchesAndSide(
        maximumPatches: limit, maximumSide: try fields.integer("patch_limit_on_one_side", ProcessorFiles.sideRange))
    }
    framesPerSecond = try fields.number("sample_fps", Self.rateRange)
    chunkLength = try fields.integer("temporal_merge_kernel_size", Self.chunkRange)
    maximumFrameCount = try fields.optionalInteger("max_num_frames_each_video", 1...(1 << 20))
    maximumChunkPatches = try fields.optionalInteger("in_patch_limit_video", 1...(1 << 24))
    sampling = .evenNearest
    let style = try fields.optionalString("timestamp_mode") ?? TimestampStyle.hours.rawValue
    guard let style = TimestampStyle(rawValue: style) else {
      throw fields.unsupported(
        "timestamp_mode", .string(style), supported: TimestampStyle.allCases.map(\.rawValue).joined(separator: ", "))
    }
    timestampStyle = style
  }

  static let rateRange = 1e-3...1e3
  private static let chunkRange = 1...64

  /// The rule for a frame of a chunk of `count` frames, of a video that is seen in `videoCount`.
  func rule(frames count: Int, ofVideo videoCount: Int = 1) -> ResizeRule {
    if case .pixels(let least, let most, _) = frame.rule { return videoRule(least, most, videoCount) }
    guard let total = maximumChunkPatches, case .patchesAndSide(let patches, let side) = frame.rule else {
      return frame.rule
    }
    let share = (Double(total) / Double(max(count, 1))).rounded(.toNearestOrEven)
    return .patchesAndSide(maximumPatches: max(1, min(Int(share), patches)), maximumSide: side)
  }
}
