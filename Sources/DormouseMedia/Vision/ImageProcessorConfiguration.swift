import DormouseLayers
public import DormouseSupport

/// The checked content of a folder's image processor: how an image becomes patches.
///
/// Three published layouts: transformers' (`processor_config.json` with an `image_processor`, or
/// `preprocessor_config.json`), Kimi K2.5's own `preprocessor_config.json` with a `media_proc_cfg`, and Kimi-VL's.
public struct ImageProcessorConfiguration: Sendable, Equatable {
  /// Pixels of a patch's side.
  public internal(set) var patchSize: Int
  /// Patches of a merged patch's side: a merged patch is one token.
  public internal(set) var mergeSize: Int
  public internal(set) var rule: ResizeRule
  public internal(set) var filter: ResampleFilter
  public internal(set) var arithmetic: ResampleArithmetic
  var normalization: PixelNormalization

  /// Reads the image processor of a model's folder; the class defaults of `Kimi_K25ImageProcessor` where no file is.
  /// - Throws: `Failure` naming file, field, value and expectation.
  public static func load(folder: String) throws(Failure) -> ImageProcessorConfiguration {
    let (fields, isNested) = try ProcessorFiles.image(folder: folder)
    return isNested ? try Self(transformers: fields) : try Self(fields)
  }

  /// The content of a `preprocessor_config.json`, in whichever layout it has.
  /// - Throws: `Failure` naming file, field, value and expectation.
  public init(_ fields: JSONFields) throws(Failure) {
    if let own = try fields.fields("media_proc_cfg") {
      try self.init(kimiK25: own)
    } else if fields.has("in_token_limit") {
      try self.init(kimiVL: fields)
    } else {
      try self.init(transformers: fields)
    }
  }

  /// transformers 5.23 `Kimi_K25ImageProcessor`, whose class defaults stand where a field is missing.
  init(transformers fields: JSONFields) throws(Failure) {
    try ProcessorFiles.requireEveryStep(fields)
    patchSize = try fields.optionalInteger("patch_size", ProcessorFiles.patchRange) ?? 14
    mergeSize = try fields.optionalInteger("merge_size", ProcessorFiles.mergeRange) ?? 2
    let patches = try fields.optionalInteger("max_patches", ProcessorFiles.patchCountRange) ?? 16384
    rule = .patchesAndSide(maximumPatches: patches, maximumSide: try ProcessorFiles.side(fields, default: 512))
    filter = try ProcessorFiles.filter(fields)
    arithmetic = .torchvision
    let factor = try fields.optionalNumber("rescale_factor", 1e-6...1) ?? 1 / 255
    normalization = try ProcessorFiles.normalization(fields, .fused(factor: factor))
  }

  /// Kimi K2.5's own layout: the fields of `media_proc_cfg`.
  init(kimiK25 fields: JSONFields) throws(Failure) {
    patchSize = try fields.integer("patch_size", ProcessorFiles.patchRange)
    mergeSize = try ProcessorFiles.mergeKernel(fields) ?? 2
    if let fixed = fields.value("fixed_output_tokens") {
      throw fields.unsupported("fixed_output_tokens", fixed, supported: "null")
    }
    rule = .patchesAndSide(
      maximumPatches: try fields.integer("in_patch_limit", ProcessorFiles.patchCountRange),
      maximumSide: try fields.integer("patch_limit_on_one_side", ProcessorFiles.sideRange))
    filter = .bicubic
    arithmetic = .pillow
    normalization = try ProcessorFiles.normalization(fields, .multiplied)
  }

  /// Kimi-VL's `preprocessor_config.json`.
  init(kimiVL fields: JSONFields) throws(Failure) {
    patchSize = try fields.optionalInteger("patch_size", ProcessorFiles.patchRange) ?? 14
    mergeSize = try ProcessorFiles.mergeKernel(fields) ?? 2
    rule = .patches(maximumPatches: try fields.integer("in_token_limit", ProcessorFiles.patchCountRange))
    // The code behind it crops otherwise, to patches that need not merge: no published model asks for that.
    guard try fields.optionalBoolean("pad_input") ?? false else {
      throw fields.unsupported("pad_input", .bool(false), supported: "true")
    }
    filter = .bicubic
    arithmetic = .pillow
    normalization = try ProcessorFiles.normalization(fields, .divided)
  }

  /// The patches of an image of this size, known without its pixels.
  /// - Throws: `Failure(.invalidArgument)` for a size that no image has or that the model refuses.
  public func grid(width: Int, height: Int) throws(Failure) -> PatchGrid {
    let plan = try rule.plan(width: width, height: height, patchSize: patchSize, mergeSize: mergeSize)
    return PatchGrid(height: plan.paddedHeight / patchSize, width: plan.paddedWidth / patchSize)
  }

  /// Tokens of the text model that a grid becomes: one for each merged patch, whatever the frames.
  func tokenCount(_ grid: PatchGrid) -> Int { grid.height / mergeSize * (grid.width / mergeSize) }
}
