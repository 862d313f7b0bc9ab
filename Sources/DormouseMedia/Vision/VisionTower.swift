public import DormouseKernels
import DormouseLayers
public import DormouseSupport
import DormouseWeights

typealias VisionFolder = TowerFolder<VisionConfiguration>

/// A loaded vision tower with its projector: patches of images and frames become rows for the text model.
///
/// MoonViT (Kimi-VL, arXiv 2504.07491), its extension to frames in Kimi K2.5, and dots3-note's tower with experts;
/// computed as transformers 5.23 `modeling_kimi_k25` and `modeling_dots3_note` do. Immutable. Thread: any; encodings on one
/// pool take turns.
public final class VisionTower: Sendable {
  public let configuration: VisionConfiguration
  public let pool: ThreadPool
  public let kernels: Kernels
  let weights: VisionWeights
  let positions: PositionGrid?
  let rope: AxialRope
  let attention: VisionAttention
  private let memory: TensorMemory

  /// Opens the tower of a folder as published on a model hub; the text model's weights are left alone.
  /// - Throws: `Failure` naming file, and field or tensor.
  public convenience init(folder: String, pool: ThreadPool, kernels: Kernels) throws(Failure) {
    try self.init(VisionFolder(folder), pool: pool, kernels: kernels)
  }

  /// Loads the weights of a folder that was checked.
  /// - Parameter progress: bytes of weights loaded; `false` cancels.
  /// - Throws: `Failure` as `Checkpoint.load`.
  init(
    _ folder: VisionFolder, residency: Checkpoint.Residency = .mapped, pool: ThreadPool, kernels: Kernels,
    progress: Progress? = nil
  ) throws(Failure) {
    let c = folder.configuration
    configuration = c
    (weights, memory) = try folder.tensors.load(residency: residency, pool: pool, progress: progress)
    if let grid = c.positions, let table = weights.positions {
      positions = PositionGrid(grid, hidden: c.hiddenSize, table: table)
    } else {
      positions = nil
    }
    rope = AxialRope(
      headDimension: c.headDimension, theta: c.ropeTheta, isInterleaved: weights.ropeInterleaved, order: c.ropeOrder)
    attention = try VisionAttention(configuration)
    self.pool = pool
    self.kernels = kernels
  }

  /// Bytes that `encode` takes while it works on `patches` patches, on `threads` threads.
  /// - Throws: `Failure(.malformed)` when they are beyond 64 bits.
  public static func scratchByteCount(
    _ configuration: VisionConfiguration, patches: Int, threads: Int
  ) throws(Failure) -> Int {
    try VisionScratchLayout(configuration, patches: patches, threads: threads).words.byteCount()
  }

  /// Rows for the text model that images and chunks of frames of these grids become.
  /// - Throws: `Failure(.invalidArgument)` for a grid that the tower does not take.
  public func tokenCount(_ grids: [PatchGrid]) throws(Failure) -> Int {
    var total = 0
    for grid in grids {
      try check(grid)
      total += grid.height / configuration.mergeHeight * (grid.width / configuration.mergeWidth)
    }
    return total
  }

  /// - Throws: `Failure(.invalidArgument)` naming what the tower does not take.
  func check(_ grid: PatchGrid) throws(Failure) {
    let c = configuration
    let sides = 1...c.maximumSide
    guard sides.contains(grid.height), sides.contains(grid.width), grid.height % c.mergeHeight == 0,
      grid.width % c.mergeWidth == 0
    else {
      throw Failure(
        .invalidArgument,
        "a grid has \(grid.height) x \(grid.width) patches; expected sides from 1 to \(c.maximumSide), multiples of"
          + " \(c.mergeHeight) and \(c.mergeWidth)")
    }
    let frames = c.maximumFrames
    guard (1...frames).contains(grid.frames) else {
      throw Failure(.invalidArgument, "a grid has \(grid.frames) frames; this tower takes 1 to \(frames)")
    }
  }
}
