public import DormouseKernels
public import DormouseSupport
public import DormouseWeights

/// How models see: a tower, and the prompts of their published processors.
public final class VisionEncoder: MediaEncoder {
  private let tower: VisionTower
  private let images: ImageProcessor
  /// Nil for Kimi-VL, which sees images only.
  private let videos: VideoProcessor?
  private let names: VisionTokenNames

  /// Loads the tower of a folder that was checked, and reads its processors' files.
  public init(
    _ folder: VisionFolder, residency: Checkpoint.Residency, pool: ThreadPool, kernels: Kernels,
    progress: Progress? = nil
  ) throws(Failure) {
    let c = folder.configuration
    images = ImageProcessor(try ImageProcessorConfiguration.load(folder: folder.path, for: c))
    videos = c.seesVideo ? VideoProcessor(try VideoProcessorConfiguration.load(folder: folder.path, for: c)) : nil
    names = VisionTokenNames(c.architecture)
    tower = try VisionTower(folder, residency: residency, pool: pool, kernels: kernels, progress: progress)
  }

  public func placeholder(of modality: Modality) -> String? {
    switch modality {
    case .image: names.image
    case .video: videos == nil ? nil : names.video
    case .audio: nil
    }
  }

  public func paddingTokens(of modality: Modality) -> [String] {
    modality == .video ? names.videoPaddings : [names.image]
  }

  public func prepare(_ item: MediaItem, _ terms: MediaTerms) throws(Failure) -> any PreparedMedia {
    switch (item, videos) {
    case (.image(let image), _): return try prepare(image, terms)
    case (.video(let video, let rate), let videos?): return try prepare(video, videos.sampled(rate), terms)
    default: throw Failure(.unsupported, "this model takes no parts of type \(item.modality.rawValue)")
    }
  }

  public func begin(
    _ prepared: any PreparedMedia, into rows: UnsafeMutableBufferPointer<Float>, _ interruption: Interruption
  ) throws(Failure) -> any EncodingRun {
    switch prepared {
    case let image as PreparedImage:
      return VisionRun(tower: tower, rows: rows) { (index) throws(Failure) in index == 0 ? image.portion : nil }
    case let video as PreparedVideo:
      return VisionRun(tower: tower, rows: rows) { [pool = tower.pool] (index) throws(Failure) in
        try video.portion(index, pool, interruption)
      }
    default: throw Failure(.internalError, "a tower for images was given something else")
    }
  }

  // MARK: - Preparing

  private func prepare(_ image: RGBImage, _ terms: MediaTerms) throws(Failure) -> PreparedImage {
    let grid = try images.configuration.grid(width: image.width, height: image.height)
    let tokenCount = try tower.tokenCount([grid])
    try terms.checkRows(tokenCount)
    let byteCount = try CheckedSize.product(
      grid.patchCount(), images.patchWidth, MemoryLayout<Float>.stride, of: "the size of an image's patches")
    let patches = try AlignedBuffer(byteCount: byteCount, isZeroed: false, for: "the patches of an image")
    try images.process(image, into: patches.bound(to: Float.self), pool: tower.pool, terms.interruption)
    var hash = BLAKE2b()
    withUnsafeBytes(of: (grid.height, grid.width)) { hash.update($0) }
    hash.update(UnsafeRawBufferPointer(patches.bytes))
    return PreparedImage(
      portion: VisionPortion(patches: patches, grid: grid, tokenCount: tokenCount),
      contentHash: ContentHash(hash.finish()), scratchByteCount: try scratchByteCount(of: grid))
  }

  private func prepare(
    _ video: any Video, _ videos: VideoProcessor, _ terms: MediaTerms
  ) throws(Failure) -> PreparedVideo {
    let plan = try VideoPlan(
      videos.configuration, frameCount: video.frameCount, framesPerSecond: video.framesPerSecond, width: video.width,
      height: video.height, timestamps: video.timestamps)
    var (rows, scratch) = (0, 0)
    let seen = plan.chunks.reduce(0) { $0 + $1.frames.count }
    try terms.limits.checkOutput(
      CheckedSize.product(seen, video.width, video.height, 3, of: "the pixels of a video's frames"))
    for chunk in plan.chunks {
      rows += try tower.tokenCount([chunk.grid])
      scratch = max(scratch, try scratchByteCount(of: chunk.grid))
    }
    try terms.checkRows(rows)
    var hash = BLAKE2b()
    withUnsafeBytes(of: try video.contentHash(terms.interruption).value) { hash.update($0) }
    for chunk in plan.chunks { withUnsafeBytes(of: chunk.grid) { hash.update($0) } }
    for chunk in plan.chunks { chunk.frames.withUnsafeBytes { hash.update($0) } }
    return PreparedVideo(
      video: video, plan: plan, videos: videos, rowCount: rows, contentHash: ContentHash(hash.finish()),
      scratchByteCount: scratch)
  }

  private func scratchByteCount(of grid: PatchGrid) throws(Failure) -> Int {
    try VisionTower.scratchByteCount(
      tower.configuration, patches: grid.patchCount(), threads: tower.pool.threadCount)
  }
}

/// The tokens that stand for images and videos.
private struct VisionTokenNames {
  let image: String
  let video: String
  /// transformers 5.23 has a token of its own for Kimi's videos, Kimi's own processor the image's.
  let videoPaddings: [String]

  init(_ architecture: VisionConfiguration.Architecture) {
    switch architecture {
    case .kimiK25, .kimiVL:
      image = "<|media_pad|>"
      video = "<|kimi_k25_video_placeholder|>"
      videoPaddings = [video, image]
    case .dots3Note:
      image = "<|imgpad|>"
      video = "<|video_pad|>"
      videoPaddings = [video]
    }
  }
}

private struct PreparedImage: PreparedMedia {
  let modality = Modality.image
  let portion: VisionPortion
  let contentHash: ContentHash
  let scratchByteCount: Int

  var rowCount: Int { portion.tokenCount }
  var byteCount: Int { portion.patches.bytes.count }
}

/// A video, whose frames are decoded chunk by chunk when they are encoded.
private struct PreparedVideo: PreparedMedia {
  let modality = Modality.video
  let video: any Video
  let plan: VideoPlan
  let videos: VideoProcessor
  let rowCount: Int
  let contentHash: ContentHash
  let scratchByteCount: Int

  var byteCount: Int { 0 }

  var promptPieces: [MediaPromptPiece] { plan.promptPieces }

  func portion(
    _ index: Int, _ pool: ThreadPool, _ interruption: Interruption
  ) throws(Failure) -> VisionPortion? {
    guard plan.chunks.indices.contains(index) else { return nil }
    let chunk = plan.chunks[index]
    let byteCount = try CheckedSize.product(
      chunk.grid.patchCount(), videos.patchWidth, MemoryLayout<Float>.stride, of: "the size of a chunk's patches")
    let patches = try AlignedBuffer(byteCount: byteCount, isZeroed: false, for: "the patches of a video's chunk")
    try videos.process(
      try video.frames(chunk.frames, interruption), of: chunk, into: patches.bound(to: Float.self), pool: pool,
      interruption)
    return VisionPortion(patches: patches, grid: chunk.grid, tokenCount: chunk.tokenCount)
  }
}
