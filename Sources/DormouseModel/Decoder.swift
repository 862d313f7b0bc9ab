public import DormouseCache
import DormouseKernels
public import DormouseSupport

/// Which logits a call of `Decoder.forward` leaves.
public enum LogitsRequest {
  /// None: the head is not computed.
  case none
  /// Those of the last token, in `Decoder.logits`.
  case last
  /// Those of every token: [tokens, vocabulary] in the caller's memory.
  case all(into: UnsafeMutableBufferPointer<Float>)
}

/// One timeline over a model: tokens go in, logits come out, the cache remembers.
///
/// Pure data flow: it neither samples nor schedules nor reads files. It owns its cache and its scratch memory, both
/// sized at the start, so that decoding allocates nothing. One call at a time; several decoders may share a model.
public final class Decoder {
  public let model: Model
  public let cache: LatentCache
  /// Tokens computed at a time at most, which bounds the scratch memory whatever the prompt's length.
  public let chunk: Int
  private let scratch: Scratch
  private let queue: ProductQueue
  private let layer: DecoderLayer

  /// - Throws: `Failure(.invalidArgument)` for sizes out of range, `Failure(.outOfMemory)`.
  public init(model: Model, options: DecoderOptions = DecoderOptions()) throws(Failure) {
    let c = model.configuration
    let sizes = try DecoderSizes(c, options)
    try Kernels.reserveThreadScratch(
      c.threadScratchByteCount(model.kernels, chunk: sizes.chunk), pool: model.pool)
    self.model = model
    chunk = sizes.chunk
    cache = try LatentCache(
      layerCount: c.hiddenLayerCount, kvLoraRank: c.kvLoraRank, qkRopeHeadDimension: c.qkRopeHeadDimension,
      capacity: sizes.contextLength, rowType: options.cacheType, kernels: model.kernels)
    scratch = try Scratch(c, precision: model.precision, chunk: chunk, threadCount: model.pool.threadCount)
    queue = ProductQueue(
      kernels: model.kernels, pool: model.pool, capacity: c.router.expertCount + 1)
    layer = DecoderLayer(
      hidden: c.hiddenSize, epsilon: c.rmsNormEpsilon, attention: try LatentAttention(c, chunk: chunk),
      feedForward: FeedForward(c, queue: queue, scratch: scratch), scratch: scratch, queue: queue)
  }

  /// Tokens held; the next token's position.
  public var position: Int { cache.length }

  /// The logits [vocabulary] that the last call with `.last` left; valid until the next call.
  public var logits: UnsafeBufferPointer<Float> {
    UnsafeBufferPointer(start: scratch.logits, count: model.configuration.vocabularySize)
  }

  /// Bytes of scratch memory and cache.
  public var byteCount: Int { scratch.byteCount + cache.byteCount }

  /// Forgets all tokens from `position` on.
  public func truncate(to position: Int) throws(Failure) { try cache.truncate(to: position) }

  /// Appends tokens, any number at any position. A call that fails leaves the timeline as it was.
  ///
  /// - Parameters:
  ///   - isCancelled: asked before every layer.
  /// - Throws: `Failure(.invalidArgument)` for a token outside the vocabulary, no tokens, or too small a buffer;
  ///   `.contextFull` when they don't fit; `.cancelled`; `.numerical` for logits that are not finite.
  public func forward(
    _ tokens: [Int32], logits request: LogitsRequest, form: AttentionForm = .automatic,
    isCancelled: () -> Bool = { false }
  ) throws(Failure) {
    try forward(tokens[...], logits: request, form: form, isCancelled: isCancelled)
  }

  /// The same for a part of an array, which is not copied.
  public func forward(
    _ tokens: ArraySlice<Int32>, logits request: LogitsRequest, form: AttentionForm = .automatic,
    isCancelled: () -> Bool = { false }
  ) throws(Failure) {
    let start = cache.length
    try check(tokens, request)
    do {
      var done = 0
      while done < tokens.count {
        let count = min(chunk, tokens.count - done)
        try forward(tokens.dropFirst(done).prefix(count), form, isCancelled)
        try writeLogits(request, done: done, count: count, isLast: done + count == tokens.count)
        done += count
      }
    } catch {
      try cache.truncate(to: start)
      throw error
    }
  }

  private func check(_ tokens: ArraySlice<Int32>, _ request: LogitsRequest) throws(Failure) {
    let vocabulary = model.configuration.vocabularySize
    guard !tokens.isEmpty else { throw Failure(.invalidArgument, "no tokens to compute") }
    try cache.requireRoom(for: tokens.count)
    for (index, token) in tokens.enumerated() where token < 0 || Int(token) >= vocabulary {
      throw Failure(
        .invalidArgument, "token \(index) is \(token); expected an id from 0 to \(vocabulary - 1)")
    }
    if case .all(let buffer) = request, buffer.count / vocabulary < tokens.count {
      throw Failure(
        .invalidArgument,
        "the buffer for logits has \(buffer.count) values; expected \(tokens.count) x \(vocabulary)")
    }
  }

  private func forward(
    _ tokens: ArraySlice<Int32>, _ form: AttentionForm, _ isCancelled: () -> Bool
  ) throws(Failure) {
    let c = model.configuration
    for (index, token) in tokens.enumerated() {
      model.kernels.dequantize(model.weights.embedding, row: Int(token), into: scratch.hidden + index * c.hiddenSize)
    }
    layer.attention.table.fill(
      first: cache.length, count: tokens.count, cosines: scratch.cosines, sines: scratch.sines)
    for index in 0..<c.hiddenLayerCount {
      guard !isCancelled() else { throw Failure(.cancelled, "cancelled before layer \(index)") }
      try layer.run(model.weights.layers[index], layer: index, count: tokens.count, form: form, cache: cache)
    }
    try cache.advance(by: tokens.count)
  }

  private func writeLogits(_ request: LogitsRequest, done: Int, count: Int, isLast: Bool) throws(Failure) {
    let vocabulary = model.configuration.vocabularySize
    switch request {
    case .none: return
    case .last:
      guard isLast else { return }
      try writeLogits(of: count - 1..<count, into: scratch.logits)
    case .all(let buffer):
      guard let base = buffer.baseAddress else { return }
      try writeLogits(of: 0..<count, into: base + done * vocabulary)
    }
  }

  /// norm, then head, for tokens of the chunk.
  private func writeLogits(of tokens: Range<Int>, into logits: UnsafeMutablePointer<Float>) throws(Failure) {
    let hidden = model.configuration.hiddenSize
    let head = Linear(weight: model.weights.head, bias: nil)
    layer.normalize(model.weights.finalNorm, tokens.upperBound)
    let normed = queue.prepare(
      scratch.normed + tokens.lowerBound * hidden, columns: hidden, count: tokens.count, in: scratch.quantizedInput)
    queue.run(head, x: normed, count: tokens.count, y: logits)
    for index in 0..<tokens.count * head.weight.rows where !logits[index].isFinite {
      throw Failure(
        .numerical,
        "logit \(index % head.weight.rows) is \(logits[index]): the model's weights or activations are not finite")
    }
  }
}
