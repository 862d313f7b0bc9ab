import DormouseSupport

/// Patches that a tower encodes at a time: an image, or a chunk of frames.
struct VisionPortion: Sendable {
  /// [patches of the grid, 3, patchSize, patchSize].
  let patches: AlignedBuffer
  let grid: PatchGrid
  let tokenCount: Int
}

/// A vision tower at work on the portions of an image or a video.
struct VisionRun: EncodingRun {
  private enum Stage {
    case embedding
    case layer(Int)
    case projector
  }

  private let tower: VisionTower
  private let rows: UnsafeMutableBufferPointer<Float>
  /// Makes portion number n; nil when there are no more.
  private let makePortion: (Int) throws(Failure) -> VisionPortion?
  private var portionCount = 0
  /// Rows that are there.
  private var tokenCount = 0
  private var portion: VisionPortion?
  private var pass: EncodingPass?
  private var stage = Stage.embedding

  /// - Parameter rows: [tokens of all portions, textHiddenSize].
  init(
    tower: VisionTower, rows: UnsafeMutableBufferPointer<Float>,
    makePortion: @escaping (Int) throws(Failure) -> VisionPortion?
  ) {
    self.tower = tower
    self.rows = rows
    self.makePortion = makePortion
  }

  mutating func prepareNext() throws(Failure) -> Bool {
    pass = nil
    guard let next = try makePortion(portionCount) else { return false }
    pass = try tower.pass(
      [next.grid], patches: next.patches.bound(to: Float.self).count,
      rows: next.tokenCount * tower.configuration.textHiddenSize)
    portion = next
    stage = .embedding
    return true
  }

  mutating func advance() throws(Failure) -> Bool {
    guard let pass, let portion, let pixels = portion.patches.bound(to: Float.self).baseAddress else { return true }
    switch stage {
    case .embedding:
      try pass.embed(pixels)
      stage = .layer(0)
    case .layer(let index):
      try pass.run(tower.weights.layers[index])
      stage = index + 1 < tower.weights.layers.count ? .layer(index + 1) : .projector
    case .projector:
      try finish(portion, pass)
      return true
    }
    return false
  }

  private mutating func finish(_ portion: VisionPortion, _ pass: EncodingPass) throws(Failure) {
    let width = tower.configuration.textHiddenSize
    guard let base = rows.baseAddress, (tokenCount + portion.tokenCount) * width <= rows.count else {
      throw Failure(
        .internalError, "a tower makes more rows than the \(rows.count / max(width, 1)) that there is room for")
    }
    pass.normalizeRows()
    try pass.project(into: base + tokenCount * width)
    tokenCount += portion.tokenCount
    portionCount += 1
    self.portion = nil
    self.pass = nil
  }
}
