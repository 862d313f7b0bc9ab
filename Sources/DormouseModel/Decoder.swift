import DormouseKernels
import DormouseLayers
public import DormouseSupport
public import DormouseWeights

/// Computes batches of tokens, each a part of some timeline: tokens go in, rows of their caches, logits and hidden states
/// come out.
///
/// Pure data flow: it neither samples nor schedules nor reads files. Its scratch memory is sized at the start, so that
/// decoding allocates nothing. A token's result does not depend on the others of its batch where weights are packed, else
/// by no more than the order in which sums are rounded. One call at a time.
public final class Decoder {
  public let model: Model
  /// Tokens of a batch at most, which bounds the scratch memory.
  public let chunk: Int
  /// Segments whose logits are computed at once, at most.
  public let batch: Int
  /// What became of the last batch's segments, in their order.
  public private(set) var outcomes: ContiguousArray<SegmentOutcome> = []

  private let scratch: Scratch
  private let queue: ProductQueue
  private let layers: [DecoderLayer]
  /// Makes the head's input of the stream.
  private let finalResidual: Residual
  /// One for each kind of attention.
  private let positions: [RotaryPositions]
  private let contextLength: Int
  private var active: ContiguousArray<ActiveSegment> = []
  /// Places in `active` of the segments that want their last token's logits.
  private var wantLast: ContiguousArray<Int> = []

  /// - Parameter experts: has the model's routed experts; nil for the model itself.
  /// - Throws: `Failure(.invalidArgument)` for sizes out of range, `Failure(.outOfMemory)`.
  public init(
    model: Model, options: DecoderOptions = DecoderOptions(), experts: (any ExpertSource)? = nil
  ) throws(Failure) {
    let c = model.configuration
    let sizes = try DecoderSizes(c, options)
    try Kernels.reserveThreadScratch(
      c.threadScratchByteCount(model.kernels, chunk: sizes.chunk), pool: model.pool)
    self.model = model
    chunk = sizes.chunk
    batch = sizes.batch
    contextLength = sizes.contextLength
    scratch = try Scratch(c, precision: model.precision, sizes: sizes, threadCount: model.pool.threadCount)
    queue = ProductQueue(
      kernels: model.kernels, pool: model.pool, capacity: c.router.expertCount + Self.attentionProducts)
    let builder = LayerBuilder(model, experts ?? model.weights.experts, sizes, scratch, queue)
    layers = try builder.layers()
    finalResidual = builder.residual(model.weights.finalNorm)
    positions = builder.kinds.map(\.positions)
    active.reserveCapacity(batch)
    wantLast.reserveCapacity(batch)
    outcomes.reserveCapacity(batch)
  }

  /// Products that attention queues at once, at most; experts queue one each, and the shared ones.
  private static let attentionProducts = 8

  /// Bytes of scratch memory.
  public var byteCount: Int { scratch.byteCount }

  /// Computes all segments, together at most `chunk` tokens, and leaves what became of each in `outcomes`.
  ///
  /// - Parameter isCancelled: asked for every segment before every layer; `true` takes it out of the batch there.
  public func forward(_ segments: ContiguousArray<Segment>, isCancelled: (Int) -> Bool = { _ in false }) {
    begin(segments)
    // A cache is its session's alone when the call returns.
    defer { active.removeAll(keepingCapacity: true) }
    for layer in layers {
      dropCancelled(isCancelled)
      guard let last = active.last else { return }
      do throws(Failure) { try layer.run(Batch(count: last.rows.upperBound, segments: active)) } catch {
        for segment in active { outcomes[segment.index] = .failed(error) }
        return
      }
    }
    dropCancelled(isCancelled)
    addStates(segments)
    writeLogits(segments)
  }

  // MARK: - Segments

  /// Checks the segments, and fills the residual stream with their tokens' embeddings.
  private func begin(_ segments: ContiguousArray<Segment>) {
    outcomes.removeAll(keepingCapacity: true)
    active.removeAll(keepingCapacity: true)
    var row = 0
    for (index, segment) in segments.enumerated() {
      do {
        try check(segment, room: chunk - row)
        outcomes.append(.done)
      } catch {
        outcomes.append(.failed(error))
        continue
      }
      let rows = row..<row + segment.tokens.count
      active.append(
        ActiveSegment(
          index: index, cache: segment.cache, rows: rows, tokens: segment.tokens, first: segment.cache.length,
          form: segment.form))
      embed(segment, from: row)
      row = rows.upperBound
    }
  }

  private func check(_ segment: Segment, room: Int) throws(Failure) {
    let vocabulary = model.configuration.vocabularySize
    let count = segment.tokens.count
    guard count > 0 else { throw Failure(.invalidArgument, "no tokens to compute") }
    guard count <= room else {
      throw Failure(.internalError, "a segment of \(count) tokens in a batch with room for \(room)")
    }
    try segment.cache.requireReserved(count)
    guard segment.cache.length + count <= contextLength else {
      throw Failure(
        .internalError,
        "a timeline of \(segment.cache.length + count) tokens in a decoder for contexts of \(contextLength)")
    }
    for (index, token) in segment.tokens.enumerated() where token < 0 || Int(token) >= vocabulary {
      throw Failure(
        .invalidArgument, "token \(index) is \(token); expected an id from 0 to \(vocabulary - 1)")
    }
    let (given, needed) =
      switch segment.logits {
      case .none: (0, 0)
      case .last(let buffer): (buffer.count, 1)
      case .all(let buffer): (buffer.count, count)
      }
    guard given / vocabulary >= needed else {
      throw Failure(
        .invalidArgument, "the buffer for logits has \(given) values; expected \(needed) x \(vocabulary)")
    }
    if let states = segment.states, states.target.count != model.configuration.hiddenSize {
      throw Failure(
        .invalidArgument,
        "the buffer for hidden states has \(states.target.count) values; expected \(model.configuration.hiddenSize)")
    }
  }

  private func embed(_ segment: Segment, from row: Int) {
    let hidden = model.configuration.hiddenSize
    let first = segment.cache.length
    for (index, token) in segment.tokens.enumerated() {
      model.kernels.dequantize(
        model.weights.embedding, row: Int(token), into: scratch.hidden + (row + index) * hidden)
    }
    for given in segment.embeddedRows {
      let positions = given.positions.clamped(to: first..<first + segment.tokens.count)
      guard !positions.isEmpty else { continue }
      (scratch.hidden + (row + positions.lowerBound - first) * hidden).update(
        from: given.rows + (given.firstRow + positions.lowerBound - given.positions.lowerBound) * hidden,
        count: positions.count * hidden)
    }
    for kind in positions { kind.fill(first: first, count: segment.tokens.count, row: row) }
  }

  /// Takes cancelled segments out, and moves the rows of those behind them up. Between two layers nothing but the
  /// residual stream and the angles is of use.
  private func dropCancelled(_ isCancelled: (Int) -> Bool) {
    var isAnyDropped = false
    for segment in active where isCancelled(segment.index) {
      outcomes[segment.index] = .cancelled
      isAnyDropped = true
    }
    guard isAnyDropped else { return }
    active.removeAll { if case .cancelled = outcomes[$0.index] { true } else { false } }
    var row = 0
    for index in active.indices {
      let rows = active[index].rows
      scratch.moveRows(rows, to: row)
      active[index].rows = row..<row + rows.count
      row += rows.count
    }
  }

  // MARK: - Hidden states

  private func addStates(_ segments: ContiguousArray<Segment>) {
    for segment in active {
      switch segments[segment.index].states {
      case nil: continue
      case .last(let target): addStates(segment, segment.rows.suffix(1), to: target)
      case .all(let target): addStates(segment, segment.rows, to: target)
      }
    }
  }

  /// Adds what the final norm makes of `rows`, one after the other, to `target` [hidden].
  private func addStates(_ segment: ActiveSegment, _ rows: Range<Int>, to target: UnsafeMutableBufferPointer<Double>) {
    let hidden = model.configuration.hiddenSize
    finalResidual.read(rows)
    let states = UnsafeBufferPointer(start: scratch.normed, count: rows.count * hidden)
    if let index = firstNotFinite(states) {
      outcomes[segment.index] = .failed(
        Failure(
          .numerical,
          "number \(index % hidden) of a hidden state is \(states[index]): the model's weights or activations are not"
            + " finite"))
      return
    }
    for row in stride(from: 0, to: states.count, by: hidden) {
      for column in 0..<hidden { target[column] += Double(states[row + column]) }
    }
  }

  // MARK: - Logits

  private func writeLogits(_ segments: ContiguousArray<Segment>) {
    wantLast.removeAll(keepingCapacity: true)
    for (place, segment) in active.enumerated() {
      switch segments[segment.index].logits {
      case .none: continue
      case .last: wantLast.append(place)
      case .all(let buffer):
        guard let target = buffer.baseAddress else { continue }
        finalResidual.read(segment.rows)
        multiplyHead(segment.rows.count, into: target)
        checkLogits(target, count: segment.rows.count, of: segment)
      }
    }
    for start in stride(from: 0, to: wantLast.count, by: batch) {
      writeLastLogits(segments, wantLast[start..<min(start + batch, wantLast.count)])
    }
  }

  /// The head's weights are read once for all of `places`, at most `batch` segments.
  private func writeLastLogits(_ segments: ContiguousArray<Segment>, _ places: ArraySlice<Int>) {
    let vocabulary = model.configuration.vocabularySize
    for (row, place) in places.enumerated() {
      finalResidual.read(active[place].rows.suffix(1), to: row)
    }
    let isAlone = places.count == 1
    if !isAlone { multiplyHead(places.count, into: scratch.logits) }
    for (row, place) in places.enumerated() {
      guard case .last(let buffer) = segments[active[place].index].logits, let target = buffer.baseAddress else {
        continue
      }
      if isAlone {
        multiplyHead(1, into: target)
      } else {
        target.update(from: scratch.logits + row * vocabulary, count: vocabulary)
      }
      checkLogits(target, count: 1, of: active[place])
    }
  }

  /// logits [count, vocabulary] = head x normed, for the first `count` normed rows.
  private func multiplyHead(_ count: Int, into logits: UnsafeMutablePointer<Float>) {
    let hidden = model.configuration.hiddenSize
    let head = Linear(weight: model.weights.head, bias: nil)
    let normed = queue.prepare(scratch.normed, columns: hidden, count: count, in: scratch.quantizedInput)
    queue.run(head, x: normed, count: count, y: logits)
  }

  private func checkLogits(_ logits: UnsafePointer<Float>, count: Int, of segment: ActiveSegment) {
    let vocabulary = model.configuration.vocabularySize
    guard let index = firstNotFinite(UnsafeBufferPointer(start: logits, count: count * vocabulary)) else { return }
    outcomes[segment.index] = .failed(
      Failure(
        .numerical,
        "logit \(index % vocabulary) is \(logits[index]): the model's weights or activations are not finite"))
  }
}
