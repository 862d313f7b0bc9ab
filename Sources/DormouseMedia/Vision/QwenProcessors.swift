import DormouseLayers
import DormouseSupport

/// The processors of Qwen2-VL's images and Qwen3-VL's videos (transformers 5.23), which dots3-note's are. Their class
/// defaults stand where a field is missing, but for the sizes of patches: only the tower's own fit it.
enum QwenProcessors {
  /// transformers' `OPENAI_CLIP_MEAN` and `OPENAI_CLIP_STD`.
  static let imageNormalization = (
    mean: [0.48145466, 0.4578275, 0.40821073], deviation: [0.26862954, 0.26130258, 0.27577711]
  )
  /// Pixels of all frames of a video together, at most.
  static let pixelRange = 1...(1 << 40)

  /// Files that speak of audio as well have the part of images and videos apart.
  static func images(_ fields: JSONFields, _ isNested: Bool) throws(Failure) -> JSONFields {
    isNested ? fields : try fields.fields("vision_config") ?? fields
  }

  /// `size`: the least and the greatest number of pixels.
  static func limits(_ fields: JSONFields, default standard: (Int, Int)) throws(Failure) -> (least: Int, most: Int) {
    let size = try fields.fields("size")
    let least = try size?.optionalInteger("shortest_edge", pixelRange) ?? standard.0
    return (least, try size?.optionalInteger("longest_edge", pixelRange) ?? standard.1)
  }

  static func check(_ limits: (least: Int, most: Int), _ fields: JSONFields) throws(Failure) {
    guard limits.least <= limits.most else {
      throw Failure(
        .malformed,
        "\(fields.file): \(fields.path)size asks for \(limits.least) pixels at least and \(limits.most) at"
          + " most")
    }
  }
}

extension ImageProcessorConfiguration {
  /// How an image or frame is cut and normalised, whatever its size.
  /// - Throws: `Failure(.malformed)` for patches other than the tower's, `.unsupported` for a step left out.
  init(
    qwen fields: JSONFields, _ vision: VisionConfiguration, rule: ResizeRule,
    default standard: (mean: [Double], deviation: [Double])
  ) throws(Failure) {
    try ProcessorFiles.requireEveryStep(fields)
    for (key, expected) in [("patch_size", vision.patchSize), ("merge_size", vision.mergeHeight)] {
      guard let found = try fields.optionalInteger(key, 1...4096), found != expected else { continue }
      throw fields.wrong(key, .integer(Int64(found)), expected: "\(expected), as the vision tower's")
    }
    if let found = try fields.optionalInteger("temporal_patch_size", 1...4096), found != 1 {
      throw fields.unsupported("temporal_patch_size", .integer(Int64(found)), supported: "1")
    }
    patchSize = vision.patchSize
    mergeSize = vision.mergeHeight
    self.rule = rule
    filter = try ProcessorFiles.filter(fields)
    arithmetic = .torchvision
    let factor = try fields.optionalNumber("rescale_factor", 1e-6...1) ?? 1 / 255
    normalization = try ProcessorFiles.normalization(fields, .fused(factor: factor), default: standard)
  }

  /// Reads the image processor of the folder of a model with this tower.
  /// - Throws: `Failure` naming file, field, value and expectation.
  static func load(folder: String, for vision: VisionConfiguration) throws(Failure) -> ImageProcessorConfiguration {
    let (fields, isNested) = try ProcessorFiles.image(folder: folder)
    return try ImageProcessorConfiguration(qwen: QwenProcessors.images(fields, isNested), vision)
  }

  /// transformers 5.23 `Qwen2VLImageProcessor`.
  init(qwen fields: JSONFields, _ vision: VisionConfiguration) throws(Failure) {
    var limits = try QwenProcessors.limits(fields, default: (56 * 56, 28 * 28 * 1280))
    limits.least = try fields.optionalInteger("min_pixels", QwenProcessors.pixelRange) ?? limits.least
    limits.most = try fields.optionalInteger("max_pixels", QwenProcessors.pixelRange) ?? limits.most
    try QwenProcessors.check(limits, fields)
    try self.init(
      qwen: fields, vision, rule: .pixels(minimumPixels: limits.least, maximumPixels: limits.most, frames: nil),
      default: QwenProcessors.imageNormalization)
  }
}

extension VideoProcessorConfiguration {
  /// Reads the video processor of the folder of a model with this tower.
  /// - Throws: `Failure` naming file, field, value and expectation.
  static func load(folder: String, for vision: VisionConfiguration) throws(Failure) -> VideoProcessorConfiguration {
    let (fields, isNested) = try ProcessorFiles.video(folder: folder)
    return try VideoProcessorConfiguration(qwen: QwenProcessors.images(fields, isNested), vision)
  }

  /// transformers 5.23 `Qwen3VLVideoProcessor`. dots3-note sees each frame alone, and its processor writes no
  /// times into the prompt.
  init(qwen fields: JSONFields, _ vision: VisionConfiguration) throws(Failure) {
    let limits = try QwenProcessors.limits(fields, default: (128 * 32 * 32, 32 * 32 * 768))
    try QwenProcessors.check(limits, fields)
    guard try fields.optionalBoolean("do_sample_frames") ?? true else {
      throw fields.unsupported("do_sample_frames", .bool(false), supported: "true")
    }
    if let count = fields.value("num_frames") { throw fields.unsupported("num_frames", count, supported: "null") }
    let half = [0.5, 0.5, 0.5]
    frame = try ImageProcessorConfiguration(
      qwen: fields, vision, rule: .pixels(minimumPixels: limits.least, maximumPixels: limits.most, frames: 1),
      default: (half, half))
    framesPerSecond = try fields.optionalNumber("fps", Self.rateRange) ?? 2
    chunkLength = 1
    sampling = .evenNearestWithinLimits
    timestampStyle = nil
    minimumFrameCount = try fields.optionalInteger("min_frames", 1...(1 << 20)) ?? 4
    maximumFrameCount = try fields.optionalInteger("max_frames", 1...(1 << 20)) ?? 768
    guard try fields.optionalBoolean("cap_pixels_per_frame") ?? false else { return }
    maximumFrameTokens = try fields.optionalInteger("max_video_tokens", 1...(1 << 20)) ?? 768
  }

  /// Qwen3-VL's rule: the video's frames share its limits. With `cap_pixels_per_frame` each has at most its share of
  /// `longest_edge` and of tokens, but a twentieth more than `shortest_edge` at least.
  func videoRule(_ least: Int, _ most: Int, _ count: Int) -> ResizeRule {
    var limit = most
    if let maximumFrameTokens {
      let step = frame.patchSize * frame.mergeSize
      let share = min(maximumFrameTokens * step * step, most / max(count, 1))
      limit = max(share, Int(Double(least) * 1.05)) * count
    }
    return .pixels(minimumPixels: least, maximumPixels: limit, frames: count)
  }
}
