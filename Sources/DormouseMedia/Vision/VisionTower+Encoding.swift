import DormouseKernels
import DormouseLayers
public import DormouseSupport

extension VisionTower {
  /// Turns the patches of images and chunks of frames into rows for the text model.
  ///
  /// - Parameters:
  ///   - patches: [patches of all grids, 3, patchSize, patchSize], from `ImageProcessor` or `VideoProcessor`.
  ///   - grids: one for each image or chunk; they don't see each other.
  ///   - rows: [tokenCount(grids), textHiddenSize].
  ///   - interruption: asked on this thread several times a layer.
  ///   - progress: told layers done and layers in all.
  /// - Throws: `Failure(.invalidArgument)` for a grid that the tower does not take or a buffer of another size,
  ///   `.outOfMemory` when `scratchByteCount` is not to be had, and what `interruption` says.
  public func encode(
    _ patches: UnsafeBufferPointer<Float>, grids: [PatchGrid], into rows: UnsafeMutableBufferPointer<Float>,
    _ interruption: Interruption = .never, progress: ((_ done: Int, _ total: Int) -> Void)? = nil
  ) throws(Failure) {
    guard let pass = try pass(grids, patches: patches.count, rows: rows.count, interruption),
      let pixels = patches.baseAddress, let target = rows.baseAddress
    else { return }
    try pass.run(pixels, progress: progress)
    try pass.project(into: target)
  }

  /// A batch with its memory, all sizes checked; nil for an empty one.
  /// - Parameters:
  ///   - patches: numbers of the patches that it will get.
  ///   - rows: numbers that it will have room for.
  func pass(
    _ grids: [PatchGrid], patches: Int, rows: Int, _ interruption: Interruption = .never
  ) throws(Failure) -> EncodingPass? {
    let segments = try segments(grids, patches: patches, rows: rows)
    guard let last = segments.last else { return nil }
    let count = last.rows.upperBound
    // At least the projections of attention.
    let queue = ProductQueue(kernels: kernels, pool: pool, capacity: max(3, configuration.mostExperts))
    return EncodingPass(
      tower: self, segments: segments, count: count,
      scratch: try VisionScratch(
        VisionScratchLayout(configuration, patches: count, threads: pool.threadCount)),
      queue: queue, gated: GatedNetworks(queue: queue, capacity: max(1, configuration.mostExperts)),
      interruption: interruption)
  }

  /// Where each image's patches and tokens lie, after checking all sizes.
  private func segments(_ grids: [PatchGrid], patches: Int, rows: Int) throws(Failure) -> [VisionSegment] {
    var segments: [VisionSegment] = []
    var (count, tokens) = (0, 0)
    for grid in grids {
      try check(grid)
      let own = try grid.patchCount()
      segments.append(VisionSegment(grid: grid, rows: count..<count + own, firstToken: tokens))
      count = try CheckedSize.sum(count, own, of: "the number of patches")
      tokens += try tokenCount([grid])
    }
    try check(patches, of: "patches", rows: count, width: configuration.patchWidth)
    try check(rows, of: "rows", rows: tokens, width: configuration.textHiddenSize)
    return segments
  }

  private func check(_ found: Int, of what: String, rows: Int, width: Int) throws(Failure) {
    let expected = try CheckedSize.product(rows, width, of: "the size of \(what)")
    guard found == expected else {
      throw Failure(
        .invalidArgument, "\(what) have room for \(found) numbers; expected \(expected): \(rows) of \(width)")
    }
  }
}

/// An image's, or a chunk's, part of a batch.
struct VisionSegment {
  let grid: PatchGrid
  let rows: Range<Int>
  /// Its first row of the result.
  let firstToken: Int
}

/// One batch on its way through the tower.
struct EncodingPass {
  let tower: VisionTower
  let segments: [VisionSegment]
  /// Patches.
  let count: Int
  let scratch: VisionScratch
  let queue: ProductQueue
  let gated: GatedNetworks
  let interruption: Interruption

  private var hidden: Int { tower.configuration.hiddenSize }
  private var kernels: Kernels { queue.kernels }
  private var pool: ThreadPool { queue.pool }

  /// Patches to the tower's rows, normalised: `scratch.normed`.
  func run(_ pixels: UnsafePointer<Float>, progress: ((_ done: Int, _ total: Int) -> Void)?) throws(Failure) {
    try embed(pixels)
    for (index, layer) in tower.weights.layers.enumerated() {
      try run(layer)
      progress?(index + 1, tower.weights.layers.count)
    }
    normalizeRows()
  }

  /// The tower's end: its rows in `scratch.normed`.
  func normalizeRows() { normalize(scratch.hidden, tower.weights.finalNorm, into: scratch.normed) }

  /// Patches to the residual stream: [count, hidden], with positions.
  func embed(_ pixels: UnsafePointer<Float>) throws(Failure) {
    try interruption.check()
    let x = Activations(floats: pixels, stride: tower.configuration.patchWidth)
    queue.run(tower.weights.patchEmbedding, x: x, count: count, y: scratch.hidden)
    if let norm = tower.weights.embeddingNorm { normalize(scratch.hidden, norm, into: scratch.hidden) }
    for segment in segments {
      let first = segment.rows.lowerBound
      tower.positions?.add(to: scratch.hidden + first * hidden, segment.grid, kernels: kernels, pool: pool)
      let pairs = first * tower.rope.pairs.count
      tower.rope.fill(segment.grid, cosines: scratch.cosines + pairs, sines: scratch.sines + pairs, pool: pool)
    }
  }

  func run(_ layer: VisionLayerWeights) throws(Failure) {
    try interruption.check()
    normalize(scratch.hidden, layer.attentionNorm, into: scratch.normed)
    attendInputs(layer)
    for segment in segments {
      try tower.attention.run(
        segment.rows, scratch: scratch, kernels: kernels, pool: pool, interruption)
    }
    try interruption.check()
    queue.run(layer.output, x: rows(scratch.normed, width: hidden), count: count, y: scratch.query)
    addUpdate(0..<count)
    normalize(scratch.hidden, layer.networkNorm, into: scratch.normed)
    try feedForward(layer.network)
  }

  /// Queries, keys and values of all patches, rotated by their places.
  private func attendInputs(_ layer: VisionLayerWeights) {
    let x = rows(scratch.normed, width: hidden)
    queue.add(layer.projections.query, x: x, count: count, y: scratch.query)
    queue.add(layer.projections.key, x: x, count: count, y: scratch.key)
    queue.add(layer.projections.value, x: x, count: count, y: scratch.value)
    queue.run()
    let (pairs, heads) = (tower.rope.pairs, tower.configuration.attentionHeadCount)
    let scale = 1 / Float(tower.configuration.headDimension).squareRoot()
    pool.forEachToken(count) { patch in
      let (query, key) = (scratch.query + patch * hidden, scratch.key + patch * hidden)
      if let norms = layer.headNorms {
        for head in 0..<heads {
          let first = head * pairs.headWidth
          norms.query.apply(query + first, into: query + first, kernels)
          norms.key.apply(key + first, into: key + first, kernels)
        }
      }
      let (cosines, sines) = (scratch.cosines + patch * pairs.count, scratch.sines + patch * pairs.count)
      pairs.rotate(query, heads: heads, cosines: cosines, sines: sines, scale: scale)
      pairs.rotate(key, heads: heads, cosines: cosines, sines: sines)
    }
  }

  /// Adds the network's result to the stream, some rows at a time.
  private func feedForward(_ network: VisionNetworkWeights) throws(Failure) {
    let networks = VisionNetworks(scratch: scratch, hidden: hidden, queue: queue, gated: gated)
    for start in stride(from: 0, to: count, by: scratch.layout.wideRows) {
      try interruption.check()
      let block = start..<min(start + scratch.layout.wideRows, count)
      try networks.run(
        network, scratch.normed + start * hidden, count: block.count, into: scratch.query + start * hidden)
      addUpdate(block)
    }
  }

  /// Adds what a block computed to the stream.
  private func addUpdate(_ rows: Range<Int>) {
    pool.forEachToken(rows.count) { index in
      let offset = (rows.lowerBound + index) * hidden
      kernels.addScaled(scratch.hidden + offset, 1, scratch.query + offset, count: hidden)
    }
  }

  private func normalize(_ x: UnsafePointer<Float>, _ norm: NormWeights, into y: UnsafeMutablePointer<Float>) {
    pool.forEachToken(count) { norm.apply(x + $0 * hidden, into: y + $0 * hidden, kernels) }
  }

  private func rows(_ x: UnsafePointer<Float>, width: Int) -> Activations { Activations(floats: x, stride: width) }

  // MARK: - Projector

  /// Averages frames, merges neighbours, and projects to the text model's width: LayerNorm of each patch, product, exact
  /// GELU, product.
  func project(into target: UnsafeMutablePointer<Float>) throws(Failure) {
    let c = tower.configuration
    for segment in segments {
      let tokens = segment.grid.height / c.mergeHeight * (segment.grid.width / c.mergeWidth)
      for start in stride(from: 0, to: tokens, by: VisionScratchLayout.projectorTokens) {
        try interruption.check()
        let block = start..<min(start + VisionScratchLayout.projectorTokens, tokens)
        let out = target + (segment.firstToken + start) * c.textHiddenSize
        project(segment, block, into: out)
      }
    }
  }

  private func project(_ segment: VisionSegment, _ tokens: Range<Int>, into target: UnsafeMutablePointer<Float>) {
    let width = tower.configuration.mergedWidth
    let merged = scratch.wide
    let middle = scratch.wide + tokens.count * width
    pool.forEachToken(tokens.count) { merge(tokens.lowerBound + $0, of: segment, into: merged + $0 * width) }
    queue.run(tower.weights.projectorIn, x: rows(merged, width: width), count: tokens.count, y: middle)
    pool.forEachToken(tokens.count) { kernels.gelu(middle + $0 * width, count: width) }
    queue.run(tower.weights.projectorOut, x: rows(middle, width: width), count: tokens.count, y: target)
  }

  /// One token's patches: [mergeHeight, mergeWidth, hidden], averaged over the frames and normalised for the projector.
  private func merge(_ token: Int, of segment: VisionSegment, into out: UnsafeMutablePointer<Float>) {
    let (c, grid) = (tower.configuration, segment.grid)
    let tokensPerRow = grid.width / c.mergeWidth
    let (top, left) = (token / tokensPerRow * c.mergeHeight, token % tokensPerRow * c.mergeWidth)
    let share = 1 / Float(grid.frames)
    for part in 0..<c.mergeCount {
      let place = (top + part / c.mergeWidth) * grid.width + left + part % c.mergeWidth
      let target = out + part * hidden
      target.update(repeating: 0, count: hidden)
      for frame in 0..<grid.frames {
        let row = segment.rows.lowerBound + frame * grid.height * grid.width + place
        kernels.addScaled(target, share, scratch.normed + row * hidden, count: hidden)
      }
      tower.weights.projectorNorm.apply(target, into: target, kernels)
    }
  }
}
