import DormouseCache
import DormouseKernels
import DormouseModel
import DormouseSupport

/// One timeline over an engine: tokens, and in their midst images, videos and audio.
///
/// Every call but `cancel` is exclusive: a second one from another thread is refused with `Failure(.busy)`, and after a
/// callback that never returned all are refused with `.internalError`.
///
/// Calls that compute wait for their turn among the engine's sessions (see `Scheduler`). Besides what they name, they
/// throw `.overloaded` when too many wait, `.outOfMemory` when there are no pages, `.cancelled`, `.timedOut` where a
/// time limit was given, and `.numerical` when the model's logits are not finite. What was completed before a call was
/// cancelled or timed out stays; after any other failure the session is as it was, but for what has slid out.
///
/// The session's tokens run ahead of its cache by those that nothing has asked the logits of yet: the last token of an
/// answer is evaluated only when something follows it.
public final class Session: @unchecked Sendable {
  /// The engine that it runs on, and keeps.
  public let engine: Engine
  /// As it was opened.
  public let options: SessionOptions
  /// Tokens that it holds at most.
  public let contextLength: Int
  /// Logits of a token; ids of tokens are below it.
  public let vocabularySize: Int
  let configuration: ModelConfiguration
  let state = CallState(of: "the session")
  /// Everything the session holds, evaluated or not.
  private(set) var timeline = Timeline()
  /// The rows of the evaluated tokens.
  private(set) var cache: LatentCache
  /// Whether `logits` are those after the last token.
  private(set) var hasLogits = false
  /// Tokens of the last call's prompt whose rows came from other sessions.
  private(set) var sharedCount = 0
  /// Of a reproducible session until its call's prompt is evaluated: the form for it, chosen before rows of others took
  /// the place of computing some of it.
  private var promptForm: AttentionForm?
  /// Tokens that stay when a call fails, though it may be the one to compute their rows again: the cache has not kept all
  /// rows up to here when it was rewound.
  private var promisedCount = 0

  let store: CacheStore
  let scheduler: Scheduler
  let request: StepRequest
  private let reservation: MemoryBudget.Reservation
  /// [vocabulary].
  private let logitsMemory: AlignedBuffer
  private var prefix: SharedPrefix

  /// An empty session. It takes memory for its tokens and logits now, and pages of the cache as calls need them.
  /// - Throws: `Failure(.unsupported)` for an engine without weights, `.invalidArgument` for a context that is not the
  ///   model's, `.outOfMemory` when the engine's limits leave no room for it, even with no other session.
  public init(engine: Engine, options: SessionOptions) throws(Failure) {
    let runtime = try engine.requireRuntime()
    scheduler = runtime.scheduler
    let plan = try engine.plan(for: options)
    try engine.requireRoom(for: plan)
    contextLength = plan.contextLength
    configuration = runtime.model.configuration
    vocabularySize = configuration.vocabularySize
    reservation = try engine.memoryBudget.reserve(
      plan.sessionWorkingBytes, for: "a session of \(contextLength) tokens")
    store = try runtime.stores.store(options.cacheType ?? engine.options.defaultCacheType)
    cache = try LatentCache(pool: store.pool, capacity: contextLength)
    logitsMemory = try AlignedBuffer(
      byteCount: vocabularySize * MemoryLayout<Float>.stride, isZeroed: false, for: "a session's logits")
    request = scheduler.makeRequest(state)
    // Others wait for its place and its next step.
    state.callback.whenLeft { [scheduler, weak request] in
      if let request { scheduler.leave(request) }
    }
    prefix = SharedPrefix(options.isPrivate ? nil : store.prefixes)
    timeline.reserveCapacity(contextLength)
    self.engine = engine
    self.options = options
  }

  deinit { prefix.remember(cache, timeline, includesLast: true) }

  /// To be called before the session is let go: where a call was left in its midst, its frames may hold the session for
  /// ever, but not the pages of its cache.
  public func giveBackWhatIsLost() {
    guard state.isLost else { return }
    keep(0)
    cache.trim()
  }

  /// The number of tokens in the session.
  public func length() throws(Failure) -> Int {
    try state.exclusively { () throws(Failure) in timeline.count }
  }

  /// Stops the call under way within one layer's time. Any thread.
  public func cancel() {
    state.cancel()
    scheduler.poke(request)
  }

  /// Keeps the first `length` tokens. The next call computes those again whose rows the cache can't keep.
  /// - Throws: `Failure(.invalidArgument)` when it has fewer.
  public func truncate(to length: Int) throws(Failure) {
    try state.exclusively { () throws(Failure) in
      guard (0...timeline.count).contains(length) else {
        throw Failure(.invalidArgument, "cannot truncate to \(length) tokens: the session has \(timeline.count)")
      }
      keep(length)
      cache.trim()
    }
  }

  /// A second session with the same tokens, which goes its own way from here on. It shares all pages of the cache.
  /// - Throws: as opening a session does.
  public func fork() throws(Failure) -> Session {
    try state.exclusively { () throws(Failure) in
      let copy = try Session(engine: engine, options: options)
      copy.become(timeline, try cache.fork())
      copy.prefix = prefix
      if hasLogits { copy.setLogits(logits) }
      return copy
    }
  }

  /// Appends tokens.
  /// - Throws: `Failure(.invalidArgument)` for one that is not in the vocabulary, `.contextFull`.
  public func prefill(_ newTokens: [Int32]) throws(Failure) {
    try newTokens.withUnsafeBufferPointer { (newTokens) throws(Failure) in try prefill(newTokens) }
  }

  /// Appends the caller's tokens where they lie: one at a time, it allocates nothing but at the borders of pages.
  /// - Throws: `Failure(.invalidArgument)` for one that is not in the vocabulary, `.contextFull`.
  public func prefill(_ newTokens: UnsafeBufferPointer<Int32>) throws(Failure) {
    try state.exclusively { () throws(Failure) in
      try atWork(appending: newTokens) { () throws(Failure) in try evaluate { _ in } }
    }
  }

  /// Appends tokens and writes the logits after each to `logits` [tokens, vocabulary], row-major.
  /// - Throws: `Failure(.invalidArgument)` for one that is not in the vocabulary or a buffer too small, `.contextFull`.
  public func prefill(_ newTokens: [Int32], allLogits logits: UnsafeMutableBufferPointer<Float>) throws(Failure) {
    try state.exclusively { () throws(Failure) in
      if cache.length < timeline.count { try atWork { () throws(Failure) in try evaluate { _ in } } }
      guard !newTokens.isEmpty else { return }
      // Rows of others would bring no logits.
      try atWork(appending: newTokens, sharesPrefixes: false) { () throws(Failure) in
        try evaluate(allLogits: logits) { _ in }
      }
    }
  }

  /// Copies the logits after the last token to `logits` [vocabulary]; they are computed where they are not at hand.
  /// - Throws: `Failure(.bufferTooSmall)`, `.invalidArgument` for a session without tokens.
  public func copyLogits(to logits: UnsafeMutableBufferPointer<Float>) throws(Failure) {
    guard logits.count >= vocabularySize else {
      throw Failure(.bufferTooSmall, "room for \(logits.count) logits, not for \(vocabularySize)")
    }
    try state.exclusively { () throws(Failure) in
      if !hasLogits { try atWork { () throws(Failure) in try ensureLogits { _ in } } }
      _ = logits.update(fromContentsOf: self.logits)
    }
  }
}

/// The steps that the calls above, generate and chat are made of; all run inside `exclusively`.
extension Session {
  /// The logits after the last token, valid while `hasLogits`.
  var logits: UnsafeBufferPointer<Float> { UnsafeBufferPointer(logitsTarget) }

  private var logitsTarget: UnsafeMutableBufferPointer<Float> { logitsMemory.bound(to: Float.self) }

  /// Holds this timeline, and the rows of its first positions, in place of its own.
  func become(_ newTimeline: Timeline, _ newCache: LatentCache) {
    timeline.truncate(to: 0)
    timeline.append(newTimeline, from: 0)
    cache = newCache
    hasLogits = false
    prefix.rewind(to: 0)
    // Nobody tells which of the tokens ahead of the cache were promised.
    promisedCount = newCache.layout.hasState ? timeline.count : 0
  }

  /// Lets `change` have the timeline, of which it leaves all positions as they are.
  func changeContents(_ change: (inout Timeline) -> Void) { change(&timeline) }

  /// Takes over logits that belong to the last token.
  func setLogits(_ source: UnsafeBufferPointer<Float>) {
    _ = logitsTarget.update(fromContentsOf: source)
    hasLogits = true
  }

  /// Appends tokens, and works as the other `atWork` does.
  func atWork<Result>(
    _ terms: WorkTerms = WorkTerms(), appending newTokens: some Collection<Int32> = EmptyCollection(),
    adding count: Int = 0, sharesPrefixes: Bool = true, _ body: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try check(newTokens)
    return try atWork(
      terms, appending: newTokens.count, { $0.append(contentsOf: newTokens) }, adding: count,
      sharesPrefixes: sharesPrefixes, body)
  }

  /// Appends to the timeline, and runs `body` once the engine lets the session in, with pages for all positions and for
  /// `count` more. When it fails, the session is as it was; but what was completed before it was interrupted stays.
  ///
  /// - Parameters:
  ///   - newCount: positions that `append` appends.
  ///   - sharesPrefixes: whether rows of other sessions may take the place of computing.
  func atWork<Result>(
    _ terms: WorkTerms, appending newCount: Int, _ append: (inout Timeline) -> Void, adding count: Int = 0,
    sharesPrefixes: Bool = true, _ body: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try makeRoom(for: newCount)
    let before = timeline.count
    let hadLogits = hasLogits
    if newCount > 0 { hasLogits = false }
    append(&timeline)
    promptForm = nil
    sharedCount = 0
    do {
      try scheduler.enter(request, terms) { () throws(Failure) in
        // Tried again after a wait for pages, which does not give back what was taken over.
        if sharesPrefixes { sharedCount += try reusePrefix() }
        try cache.reserve(timeline.count - cache.length + min(count, contextLength - timeline.count))
      }
    } catch {
      keep(before)
      hasLogits = hadLogits && cache.length == before
      cache.trim()
      throw error
    }
    defer {
      // Whoever waits for pages looks for them when this session leaves.
      cache.trim()
      prefix.remember(cache, timeline, includesLast: false)
      scheduler.leave(request)
    }
    do { return try body() } catch {
      if !error.isInterruption { keep(before) }
      throw error
    }
  }

  /// Takes over what others have computed of the timeline.
  /// - Returns: positions that need not be computed.
  private func reusePrefix() throws(Failure) -> Int {
    guard options.isReproducible else { return try prefix.reuse(for: cache, timeline, form: nil) }
    guard cache.length < timeline.count else { return 0 }
    let form = attentionForm
    promptForm = form
    return try prefix.reuse(for: cache, timeline, form: configuration.rowForm(form))
  }

  /// Adds a token at the end, to be evaluated later; the oldest make room where the session slides.
  /// - Throws: `Failure(.contextFull)`.
  func append(_ token: Int32) throws(Failure) {
    try makeRoom(for: 1)
    hasLogits = false
    timeline.append(token)
  }

  func check(_ newTokens: some Collection<Int32>) throws(Failure) {
    for (index, token) in newTokens.enumerated() where token < 0 || token >= vocabularySize {
      throw Failure(
        .invalidArgument, "token \(index) is \(token), not an id of the vocabulary of \(vocabularySize)")
    }
  }

  /// Forgets all but the first `length` tokens.
  /// - Returns: how many of these have lost their rows, which the next call computes again.
  @discardableResult
  func keep(_ length: Int) -> Int {
    guard length < timeline.count || length < cache.length else { return 0 }
    timeline.truncate(to: length)
    hasLogits = false
    return rewind(to: length)
  }

  /// Whether the context takes as many tokens as there may ever be.
  var isFull: Bool { options.overflow == .stop && timeline.count >= contextLength }

  /// Makes room for `count` more tokens, if the session slides; what is dropped does not come back.
  private func makeRoom(for count: Int) throws(Failure) {
    guard count > contextLength - timeline.count else { return }
    guard case .slide(let keeping) = options.overflow, keeping + count <= contextLength else {
      throw Failure(
        .contextFull,
        "\(count) tokens after \(timeline.count) do not fit into the session's \(contextLength) tokens")
    }
    let first = min(keeping, timeline.count)
    let missing = count - (contextLength - timeline.count)
    let dropped = min(max(missing, (contextLength - first) / 2), timeline.count - first)
    timeline.remove(first..<first + dropped)
    rewind(to: first)
    hasLogits = false
  }

  /// - Returns: rows before position `length` that the cache has not kept.
  @discardableResult
  private func rewind(to length: Int) -> Int {
    prefix.rewind(to: length)
    promisedCount = min(promisedCount, length)
    // Where more are held it can't fail.
    guard cache.length > length, let kept = try? cache.rewind(to: length), kept < length else { return 0 }
    promisedCount = length
    return length - kept
  }
}

/// Evaluating.
extension Session {
  /// Evaluates the tokens that the cache does not hold, step by step, and keeps the logits after the last.
  ///
  /// When it is interrupted the tokens of completed steps stay, and those that a rewind has promised to keep; on any other
  /// failure all tokens stay, unevaluated.
  /// - Parameters:
  ///   - allLogits: [unevaluated tokens, vocabulary], or nil.
  ///   - onStep: gets the number of evaluated tokens after each step, and after each portion of media that is encoded.
  func evaluate(
    isGenerating: Bool = false, allLogits: UnsafeMutableBufferPointer<Float>? = nil,
    onStep: (Int) throws(Failure) -> Void
  ) throws(Failure) {
    let before = cache.length
    let form = attentionForm
    let rowForm = configuration.rowForm(form)
    promptForm = nil
    do {
      try encodeMedia { () throws(Failure) in try onStep(cache.length) }
      while cache.length < timeline.count {
        // Also after the tail was rewound into a page that others hold.
        try cache.reserve(timeline.count - cache.length)
        let done = cache.length
        let count = try step(
          isGenerating: isGenerating && done == timeline.count - 1, form: form,
          logits: allLogits.map { logitsAll(in: $0, from: done - before) } ?? .last(into: logitsTarget))
        try cache.advance(by: count, form: rowForm)
        hasLogits = cache.length == timeline.count && allLogits == nil
        try onStep(cache.length)
      }
    } catch {
      if error.isInterruption {
        keep(max(cache.length, promisedCount))
      } else {
        rewind(to: before)
        hasLogits = false
      }
      throw error
    }
    if let allLogits { copyLast(of: allLogits, count: timeline.count - before) }
  }

  /// The form for all tokens that the cache does not hold, into whatever pieces the scheduler cuts them.
  private var attentionForm: AttentionForm {
    promptForm ?? form(of: timeline.count - cache.length, behind: cache.length)
  }

  /// The form for `count` tokens behind `first` others.
  func form(of count: Int, behind first: Int) -> AttentionForm {
    options.attention == .automatic ? .cheaper(count: count, first: first) : options.attention
  }

  private func step(isGenerating: Bool, form: AttentionForm, logits: LogitsRequest) throws(Failure) -> Int {
    let segment = Segment(
      cache: cache, tokens: timeline.tokens[cache.length...], embeddedRows: timeline.embeddedRows, logits: logits,
      form: form)
    return try scheduler.step(request, segment, isGenerating: isGenerating)
  }

  private func logitsAll(in buffer: UnsafeMutableBufferPointer<Float>, from token: Int) -> LogitsRequest {
    .all(into: UnsafeMutableBufferPointer(rebasing: buffer.dropFirst(token * vocabularySize)))
  }

  /// The last of all logits are the session's.
  private func copyLast(of allLogits: UnsafeMutableBufferPointer<Float>, count: Int) {
    let last = allLogits.dropFirst((count - 1) * vocabularySize).prefix(vocabularySize)
    if count > 0, last.count == vocabularySize { setLogits(UnsafeBufferPointer(rebasing: last)) }
  }

  /// Makes `logits` those after the last token.
  func ensureLogits(isGenerating: Bool = false, onStep: (Int) throws(Failure) -> Void) throws(Failure) {
    guard timeline.count > 0 else {
      throw Failure(.invalidArgument, "the session has no tokens, so there is nothing to go on from")
    }
    if !hasLogits { rewind(to: timeline.count - 1) }
    try evaluate(isGenerating: isGenerating, onStep: onStep)
  }
}

extension Failure {
  /// Whether the work was stopped from outside, and might go on.
  var isInterruption: Bool { status == .cancelled || status == .timedOut }
}
