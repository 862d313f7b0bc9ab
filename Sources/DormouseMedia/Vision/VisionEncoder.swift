import DormouseKernels
import DormouseSupport

/// What the processors' files of a model that sees say, and the tokens that stand for images and videos in its prompts.
struct VisionProcessors: Sendable {
  let images: ImageProcessor
  /// Nil for a model that sees images only.
  let videos: VideoProcessor?
  let imageToken: String
  let videoToken: String
  /// What may stand for a row of a video.
  let videoPaddings: [String]
}

/// How models see: a tower, and the prompts of their published processors.
final class VisionEncoder: MediaEncoder {
  private let tower: VisionTower
  private let processors: VisionProcessors

  init(_ tower: VisionTower, _ processors: VisionProcessors) {
    self.tower = tower
    self.processors = processors
  }

  func placeholder(of modality: Modality) -> String? {
    switch modality {
    case .image: processors.imageToken
    case .video: processors.videos == nil ? nil : processors.videoToken
    case .audio: nil
    }
  }

  func paddingTokens(of modality: Modality) -> [String] {
    modality == .video ? processors.videoPaddings : [processors.imageToken]
  }

  func prepare(_ item: MediaItem, _ terms: MediaTerms) throws(Failure) -> any PreparedMedia {
    switch (item, processors.videos) {
    case (.image(let image), _): return try prepare(image, terms)
    case (.video(let video, let rate), let videos?): return try prepare(video, videos.sampled(rate), terms)
    default: throw Failure(.unsupported, "this model takes no parts of type \(item.modality.rawValue)")
    }
  }

  func begin(
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
    let images = processors.images
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
