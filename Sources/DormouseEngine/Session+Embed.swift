import DormouseCache
import DormouseModel
import DormouseSupport

extension Session {
  /// Numbers of an embedding.
  public var hiddenSize: Int { configuration.hiddenSize }

  /// What the model makes of tokens behind those that the session holds: its hidden state after the final norm. The session
  /// stays as it is, whatever becomes of the call.
  /// - Parameters:
  ///   - newTokens: at least one.
  ///   - json: as `dormouse_session_embed` describes it, or nil.
  ///   - embedding: [hidden]; written when nothing has failed.
  /// - Throws: `Failure(.invalidArgument)` for a configuration that is not as described, no tokens, or one that is not in
  ///   the vocabulary, `.bufferTooSmall`, `.contextFull`.
  public func embed(
    _ newTokens: [Int32], configuration json: String?, into embedding: UnsafeMutableBufferPointer<Float>
  ) throws(Failure) {
    let wanted = try EmbeddingRequest(json)
    guard embedding.count >= hiddenSize else {
      throw Failure(.bufferTooSmall, "room for \(embedding.count) numbers of an embedding, not for \(hiddenSize)")
    }
    guard !newTokens.isEmpty else { throw Failure(.invalidArgument, "there are no tokens to embed") }
    try state.exclusively { () throws(Failure) in
      try check(newTokens)
      guard newTokens.count <= contextLength - timeline.count else {
        throw Failure(
          .contextFull,
          "\(newTokens.count) tokens after \(timeline.count) do not fit into the session's \(contextLength) tokens")
      }
      try embed(newTokens, wanted, into: embedding)
    }
  }

  /// Computes on a second cache, which shares the pages of the session's and goes when the call ends.
  private func embed(
    _ newTokens: [Int32], _ wanted: EmbeddingRequest, into embedding: UnsafeMutableBufferPointer<Float>
  ) throws(Failure) {
    let what = "an embedding"
    let sumByteCount = try CheckedSize.product(hiddenSize, MemoryLayout<Double>.stride, of: what)
    let byteCount = try CheckedSize.sum(
      LatentCache.workingByteCount(store.pool.layout, capacity: contextLength), sumByteCount, of: what)
    let reservation = try engine.memoryBudget.reserve(UInt64(clamping: byteCount), for: what)
    defer { withExtendedLifetime(reservation) {} }
    let sum = try AlignedBuffer(byteCount: sumByteCount, for: what)
    let held = timeline.count
    let count = held + newTokens.count
    let copy = try cache.fork()
    try scheduler.enter(request, wanted.terms) { () throws(Failure) in try copy.reserve(count - copy.length) }
    defer {
      // Whoever waits for pages looks for them when this session leaves.
      _ = try? copy.rewind(to: 0)
      copy.trim()
      scheduler.leave(request)
    }
    try encodeMedia { () throws(Failure) in }
    var whole = timeline
    whole.append(contentsOf: newTokens)
    let form = form(of: count - copy.length, behind: copy.length)
    let target = sum.bound(to: Double.self)
    try compute(whole, upTo: held, on: copy, form: form)
    try compute(
      whole, upTo: count, on: copy, form: form,
      states: wanted.pooling == .last ? .last(addedTo: target) : .all(addedTo: target))
    wanted.pool(target, count: wanted.pooling == .last ? 1 : newTokens.count, into: embedding)
  }

  /// Evaluates a timeline's positions before `end` that a cache does not hold.
  private func compute(
    _ whole: Timeline, upTo end: Int, on cache: LatentCache, form: AttentionForm, states: StateRequest? = nil
  ) throws(Failure) {
    while cache.length < end {
      let segment = Segment(
        cache: cache, tokens: whole.tokens[cache.length..<end], embeddedRows: whole.embeddedRows, logits: .none,
        states: states, form: form)
      try cache.advance(by: scheduler.step(request, segment, isGenerating: false))
    }
  }
}
