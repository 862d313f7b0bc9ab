public import DormouseSupport

/// `grid_thw`: the patches of an image, or of a chunk of frames that are seen together.
public struct PatchGrid: Sendable, Equatable, Hashable {
  /// 1 for an image.
  public let frames: Int
  /// Rows of patches.
  public let height: Int
  /// Patches of a row.
  public let width: Int

  public init(frames: Int = 1, height: Int, width: Int) {
    self.frames = frames
    self.height = height
    self.width = width
  }

  /// - Throws: `Failure(.invalidArgument)` when it is beyond 64 bits or a part of it is negative.
  public func patchCount() throws(Failure) -> Int {
    try withStatus { () throws(Failure) in try CheckedSize.product(frames, height, width, of: "the number of patches") }
  }

  private func withStatus(_ body: () throws(Failure) -> Int) throws(Failure) -> Int {
    do { return try body() } catch { throw Failure(.invalidArgument, error.message) }
  }
}

/// What becomes of an image's size before it is cut into patches.
struct ResizePlan: Sendable, Equatable {
  /// The size that the image is scaled to.
  let width: Int
  let height: Int
  /// The size with black pixels added on the right and below.
  let paddedWidth: Int
  let paddedHeight: Int
}

/// The rules by which the published processors choose a size.
public enum ResizeRule: Sendable, Equatable {
  /// Kimi K2.5 and later: shrink until the whole patches fit `maximumPatches` and each side `maximumSide` patches.
  case patchesAndSide(maximumPatches: Int, maximumSide: Int)
  /// Kimi-VL: shrink until the whole patches fit `maximumPatches`; 512 patches of a side are too many.
  case patches(maximumPatches: Int)
  /// Qwen2-VL's images (`frames` nil) and Qwen3-VL's videos: whole merged patches, so many that the pixels of all frames
  /// together lie within the limits; enlarged where they are too few.
  case pixels(minimumPixels: Int, maximumPixels: Int, frames: Int?)
}

extension ResizeRule {
  /// Patches of a side that Kimi-VL's processor refuses.
  private static let refusedSide = 512

  /// Kimi: the published rule (`navit_resize` of transformers 5.23 `image_processing_kimi_k25`; `rescale` of Kimi-VL's
  /// `image_processing_kimi_vl`), then padding to whole merged patches. Never enlarges. Qwen-VL: `smart_resize` of 5.23
  /// `image_processing_qwen2_vl` and `video_processing_qwen3_vl`, without padding.
  ///
  /// - Parameters:
  ///   - patchSize: pixels of a patch's side.
  ///   - mergeSize: patches of a merged patch's side.
  /// - Throws: `Failure(.invalidArgument)` for a size that no image has or that the rule refuses.
  func plan(width: Int, height: Int, patchSize: Int, mergeSize: Int) throws(Failure) -> ResizePlan {
    try RGBImage.checkSize(width: width, height: height)
    let step = mergeSize * patchSize
    if case .pixels(let minimum, let maximum, let frames) = self {
      return try Self.wholeMergedPatches(width, height, step: step, within: (minimum, maximum), frames: frames)
    }
    let (newWidth, newHeight) = scaled(width: width, height: height, patchSize: patchSize)
    let plan = ResizePlan(
      width: newWidth, height: newHeight, paddedWidth: CheckedSize.ceilingQuotient(newWidth, step) * step,
      paddedHeight: CheckedSize.ceilingQuotient(newHeight, step) * step)
    if case .patches = self {
      let side = max(plan.paddedWidth, plan.paddedHeight) / patchSize
      guard side < Self.refusedSide else {
        throw Failure(
          .invalidArgument,
          "an image of \(width) x \(height) pixels is \(side) patches long; this model takes fewer than"
            + " \(Self.refusedSide)")
      }
    }
    return plan
  }

  private func scaled(width: Int, height: Int, patchSize: Int) -> (width: Int, height: Int) {
    switch self {
    case .patchesAndSide(let maximumPatches, let maximumSide):
      let patches = Double(max(1, height / patchSize) * max(1, width / patchSize))
      let side = Double(maximumSide * patchSize)
      let scale = min(
        1, (Double(maximumPatches) / patches).squareRoot(), side / Double(height), side / Double(width))
      return (
        min(max(1, Int(Double(width) * scale)), maximumSide * patchSize),
        min(max(1, Int(Double(height) * scale)), maximumSide * patchSize)
      )
    case .patches(let maximumPatches):
      let patches = (height / patchSize) * (width / patchSize)
      guard patches > maximumPatches else { return (width, height) }
      let scale = (Double(maximumPatches) / Double(patches)).squareRoot()
      return (max(1, Int(Double(width) * scale)), max(1, Int(Double(height) * scale)))
    case .pixels: return (width, height)
    }
  }

  /// One side over the other that Qwen-VL's processors take, at most.
  private static let greatestRatio = 200.0

  /// - Parameters:
  ///   - step: pixels of a merged patch's side.
  ///   - limits: pixels of all frames together, at least and at most.
  private static func wholeMergedPatches(
    _ width: Int, _ height: Int, step: Int, within limits: (least: Int, most: Int), frames: Int?
  ) throws(Failure) -> ResizePlan {
    let side = Double(step)
    var (w, h) = (Double(width), Double(height))
    if frames != nil, min(w, h) < side {
      let scale = max(side / h, side / w)
      (w, h) = ((w * scale).rounded(.down), (h * scale).rounded(.down))
    }
    guard max(w, h) / min(w, h) <= greatestRatio else {
      throw Failure(
        .invalidArgument,
        "an image of \(width) x \(height) pixels is more than \(Int(greatestRatio)) times as long as it is wide")
    }
    let count = Double(frames ?? 1)
    var newWidth = (w / side).rounded(.toNearestOrEven) * side
    var newHeight = (h / side).rounded(.toNearestOrEven) * side
    if count * newWidth * newHeight > Double(limits.most) {
      let scale = (count * h * w / Double(limits.most)).squareRoot()
      newWidth = max(side, (w / scale / side).rounded(.down) * side)
      newHeight = max(side, (h / scale / side).rounded(.down) * side)
    } else if count * newWidth * newHeight < Double(limits.least) {
      let scale = (Double(limits.least) / (count * h * w)).squareRoot()
      newWidth = (w * scale / side).rounded(.up) * side
      newHeight = (h * scale / side).rounded(.up) * side
    }
    try RGBImage.checkSize(width: Int(newWidth), height: Int(newHeight))
    return ResizePlan(
      width: Int(newWidth), height: Int(newHeight), paddedWidth: Int(newWidth), paddedHeight: Int(newHeight))
  }
}
