import DormouseCache
import DormouseKernels
import DormouseModel
import DormouseSupport
import DormouseWeights

/// A decoder with one timeline: what the engine's sessions and scheduler do, in its simplest form.
final class Timeline {
  enum Logits {
    case none
    case last
    case all(into: UnsafeMutableBufferPointer<Float>)
  }

  let decoder: Decoder
  let cache: LatentCache
  private let lastLogits: UnsafeMutableBufferPointer<Float>

  init(
    model: Model, options: DecoderOptions = DecoderOptions(), experts: (any ExpertSource)? = nil
  ) throws(Failure) {
    decoder = try Decoder(model: model, options: options, experts: experts)
    cache = try Timeline.cache(model: model, options: options)
    lastLogits = .allocate(capacity: model.configuration.vocabularySize)
    lastLogits.initialize(repeating: .nan)
  }

  deinit { lastLogits.deallocate() }

  static func cache(model: Model, options: DecoderOptions) throws(Failure) -> LatentCache {
    let c = model.configuration
    let pool = PagePool(
      layout: try c.pageLayout(options.cacheType), kernels: model.kernels,
      budget: MemoryBudget(limit: nil, name: "the test's budget"))
    return try LatentCache(pool: pool, capacity: options.contextLength ?? c.maximumPositions)
  }

  var model: Model { decoder.model }
  var position: Int { cache.length }
  var logits: UnsafeBufferPointer<Float> { UnsafeBufferPointer(lastLogits) }

  func truncate(to position: Int) throws(Failure) { try cache.rewind(to: position) }

  /// Appends tokens, chunk by chunk. A call that fails leaves the timeline as it was.
  func forward(
    _ tokens: [Int32], logits request: Logits, form: AttentionForm = .automatic, isCancelled: () -> Bool = { false }
  ) throws(Failure) {
    let start = cache.length
    do throws(Failure) {
      try cache.reserve(tokens.count)
      repeat {
        let done = cache.length - start
        let part = tokens[done..<min(done + decoder.chunk, tokens.count)]
        let isLast = part.endIndex == tokens.count
        decoder.forward(
          [Segment(cache: cache, tokens: part, logits: wanted(request, from: done, isLast: isLast), form: form)],
          isCancelled: { _ in isCancelled() })
        switch decoder.outcomes[0] {
        case .done: try cache.advance(by: part.count)
        case .cancelled: throw Failure(.cancelled, "cancelled")
        case .failed(let failure): throw failure
        }
      } while cache.length - start < tokens.count
    } catch {
      try cache.rewind(to: start)
      throw error
    }
  }

  private func wanted(_ request: Logits, from done: Int, isLast: Bool) -> LogitsRequest {
    switch request {
    case .none: .none
    case .last: isLast ? .last(into: lastLogits) : .none
    case .all(let buffer):
      .all(into: UnsafeMutableBufferPointer(rebasing: buffer[min(buffer.count, done * vocabulary)...]))
    }
  }

  private var vocabulary: Int { model.configuration.vocabularySize }
}
