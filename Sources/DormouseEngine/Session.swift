import DormouseKernels
import DormouseModel
import DormouseSupport

/// One timeline of tokens over an engine.
///
/// Every call but `cancel` is exclusive: a second one from another thread is refused with `Failure(.busy)`.
///
/// The session's tokens run ahead of the decoder's cache by those that nothing has asked the logits of yet: the last
/// token of an answer is evaluated only when something follows it.
public final class Session: @unchecked Sendable {
  public let engine: Engine
  public let contextLength: Int
  let state = SessionState()
  /// Everything the session holds, evaluated or not.
  var tokens: [Int32] = []

  private let decoder: Decoder
  private let attention: AttentionForm
  private let reservation: MemoryBudget.Reservation
  /// Whether the decoder's logits are those after the last token.
  private var hasLogits = false

  public init(engine: Engine, options: SessionOptions) throws(Failure) {
    let model = try engine.requireModel()
    let decoderOptions = try engine.decoderOptions(for: options, try engine.modelFolder())
    let plan = try engine.plan(for: options)
    contextLength = decoderOptions.contextLength ?? model.configuration.maximumPositions
    reservation = try engine.memoryBudget.reserve(
      plan.sessionBytes, for: "a session of \(contextLength) tokens")
    decoder = try Decoder(model: model, options: decoderOptions)
    tokens.reserveCapacity(contextLength)
    attention = options.attention
    self.engine = engine
  }

  /// The number of tokens in the session.
  public func length() throws(Failure) -> Int {
    try state.exclusively { () throws(Failure) in tokens.count }
  }

  /// Stops the call under way within one layer's time. Any thread.
  public func cancel() { state.cancel() }

  /// Keeps the first `length` tokens.
  public func truncate(to length: Int) throws(Failure) {
    try state.exclusively { () throws(Failure) in
      guard (0...tokens.count).contains(length) else {
        throw Failure(.invalidArgument, "cannot truncate to \(length) tokens: the session has \(tokens.count)")
      }
      keep(length)
    }
  }

  /// Appends tokens.
  public func prefill(_ newTokens: [Int32]) throws(Failure) {
    try newTokens.withUnsafeBufferPointer { (newTokens) throws(Failure) in try prefill(newTokens) }
  }

  /// Appends the caller's tokens where they lie: one at a time, it allocates nothing.
  public func prefill(_ newTokens: UnsafeBufferPointer<Int32>) throws(Failure) {
    try state.exclusively { () throws(Failure) in
      try append(newTokens)
      try evaluate { _ in }
    }
  }

  /// Appends tokens and writes the logits after each to `logits` [tokens, vocabulary], row-major.
  public func prefill(_ newTokens: [Int32], allLogits logits: UnsafeMutableBufferPointer<Float>) throws(Failure) {
    try state.exclusively { () throws(Failure) in
      try evaluate { _ in }
      let before = tokens.count
      try append(newTokens[...])
      guard !newTokens.isEmpty else { return }
      do throws(Failure) { try forward(newTokens[...], .all(into: logits)) } catch {
        keep(before)
        throw error
      }
    }
  }

  /// Copies the logits after the last token to `logits` [vocabulary].
  public func copyLogits(to logits: UnsafeMutableBufferPointer<Float>) throws(Failure) {
    guard logits.count >= vocabularySize else {
      throw Failure(.bufferTooSmall, "room for \(logits.count) logits, not for \(vocabularySize)")
    }
    try state.exclusively { () throws(Failure) in
      try ensureLogits { _ in }
      _ = logits.update(fromContentsOf: self.logits)
    }
  }

  public var vocabularySize: Int { decoder.model.configuration.vocabularySize }
}

/// The steps that the calls above, generate and chat are made of; all run inside `exclusively`.
extension Session {
  /// The logits after the last token, valid after `ensureLogits`.
  var logits: UnsafeBufferPointer<Float> { decoder.logits }

  /// Tokens that the decoder's cache holds.
  private var evaluatedCount: Int { decoder.position }

  /// Adds tokens at the end, to be evaluated later.
  /// - Throws: `Failure(.contextFull)` or, for an id outside the vocabulary, `Failure(.invalidArgument)`.
  func append(_ newTokens: some Collection<Int32>) throws(Failure) {
    guard newTokens.count <= contextLength - tokens.count else {
      throw Failure(
        .contextFull,
        "\(newTokens.count) tokens after \(tokens.count) do not fit into the session's \(contextLength) tokens")
    }
    for (index, token) in newTokens.enumerated() where token < 0 || token >= vocabularySize {
      throw Failure(
        .invalidArgument, "token \(index) is \(token), not an id of the vocabulary of \(vocabularySize)")
    }
    if !newTokens.isEmpty { hasLogits = false }
    tokens.append(contentsOf: newTokens)
  }

  /// The same for one token.
  func append(_ token: Int32) throws(Failure) { try append(CollectionOfOne(token)) }

  /// Forgets all but the first `length` tokens.
  func keep(_ length: Int) {
    guard length < tokens.count || length < evaluatedCount else { return }
    tokens.removeLast(tokens.count - length)
    rewindDecoder(to: length)
    hasLogits = false
  }

  /// Evaluates the tokens that the decoder has not seen, chunk by chunk, and keeps the logits after the last.
  ///
  /// On cancellation the tokens of completed chunks stay; on any other failure all unevaluated tokens go.
  /// - Parameter onChunk: gets the number of evaluated tokens after each chunk.
  func evaluate(onChunk: (Int) throws(Failure) -> Void) throws(Failure) {
    let before = evaluatedCount
    do {
      while evaluatedCount < tokens.count {
        try state.throwIfCancelling()
        let end = min(tokens.count, evaluatedCount + decoder.chunk)
        let isLast = end == tokens.count
        try forward(tokens[evaluatedCount..<end], isLast ? .last : .none)
        hasLogits = isLast
        try onChunk(end)
      }
    } catch {
      keep(error.status == .cancelled ? evaluatedCount : before)
      throw error
    }
  }

  /// Makes `logits` those after the last token.
  func ensureLogits(onChunk: (Int) throws(Failure) -> Void) throws(Failure) {
    guard !tokens.isEmpty else {
      throw Failure(.invalidArgument, "the session has no tokens, so there is nothing to go on from")
    }
    if !hasLogits { rewindDecoder(to: tokens.count - 1) }
    try evaluate(onChunk: onChunk)
  }

  /// Truncating to fewer tokens than the cache holds can't fail.
  private func rewindDecoder(to length: Int) {
    if decoder.position > length { try? decoder.truncate(to: length) }
  }

  private func forward(_ newTokens: ArraySlice<Int32>, _ request: LogitsRequest) throws(Failure) {
    try decoder.forward(newTokens, logits: request, form: attention, isCancelled: { state.isCancelling })
  }
}
