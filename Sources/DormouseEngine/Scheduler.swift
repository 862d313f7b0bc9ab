import DormouseMedia
import DormouseModel
import DormouseSupport

/// Computes the steps of all of an engine's sessions on a thread of its own, as many of them as there are in one batch.
///
/// Sessions stay on their callers' threads: each asks for one step at a time (`step`), sleeps until it is done, and
/// samples and calls back while the next one may already run. A step takes one token of each session that generates,
/// and pieces of prompts; while anybody generates, together at most `promptTokensPerStep` of them, which bounds what a
/// long prompt costs the others. `enter` lets only so many sessions work at a time, in order of priority and arrival.
final class Scheduler: Sendable {
  struct Limits: Sendable, Equatable {
    /// Sessions at work at a time.
    var batch = 16
    /// Sessions that may wait to be let in.
    var queue = 256
    /// Tokens of prompts that a step computes while other sessions generate.
    var promptTokensPerStep = 64
  }

  private let loop: SchedulerLoop
  private let thread: BackgroundThread

  /// - Throws: `Failure(.outOfMemory)` when there is no memory to compute in, or no thread.
  init(model: Model, options: DecoderOptions, limits: Limits) throws(Failure) {
    let loop = SchedulerLoop(limits)
    thread = try BackgroundThread(name: "dormouse-0") {
      loop.run { () throws(Failure) in
        try model.pool.pinCaller()
        return try Decoder(model: model, options: options)
      }
    }
    self.loop = loop
    if let failure = loop.waitUntilReady() {
      thread.join()
      throw failure
    }
  }

  /// Ends the thread, and with it its hold on the model. Once, when no session is at work any more.
  func stop() {
    loop.stop()
    thread.join()
  }

  /// A session's place, to be used by one call at a time.
  func makeRequest(_ state: CallState) -> StepRequest {
    StepRequest(sessionState: state, monitor: loop.monitor)
  }

  /// Waits to be let in.
  ///
  /// - Parameter prepare: takes the memory that the work needs; tried again when others have left while
  ///   it fails for `.outOfMemory`.
  /// - Throws: `Failure(.overloaded)` when the line is full, `.cancelled`, `.timedOut`, and what `prepare` throws when
  ///   nobody's leaving can help.
  func enter(_ request: StepRequest, _ terms: WorkTerms, prepare: () throws(Failure) -> Void) throws(Failure) {
    try loop.enter(request, terms, prepare)
  }

  /// Ends what a successful `enter` began.
  func leave(_ request: StepRequest) { loop.leave(request) }

  /// Computes the next tokens of `segment`, at least one, and returns how many.
  /// - Parameter isGenerating: whether the session is past its prompt; others' prompts then go in smaller pieces.
  /// - Throws: `Failure(.cancelled)` or `.timedOut` within one layer's time, or what the decoder says.
  func step(_ request: StepRequest, _ segment: Segment, isGenerating: Bool) throws(Failure) -> Int {
    try loop.step(request, segment, isGenerating: isGenerating)
  }

  /// Encodes a picture, clip or sound, in as many steps as it takes: each does one part of it beside the tokens of
  /// others. What the run prepares, it prepares on the calling thread.
  /// - Throws: `Failure(.cancelled)` or `.timedOut` within a part's time, or what the run says.
  func encode(
    _ request: StepRequest, _ run: any EncodingRun, onPortion: () throws(Failure) -> Void
  ) throws(Failure) {
    request.encoding = run
    defer { request.encoding = nil }
    while try request.encoding?.prepareNext() ?? false {
      repeat { try loop.encodeStep(request) } while !request.isEncoded
      try onPortion()
    }
  }

  /// Wakes a session that waits, to look at its wish to cancel.
  func poke(_ request: StepRequest) { loop.monitor.withLock { request.condition.signal() } }

  var statistics: SchedulerStatistics { loop.monitor.withLock { loop.currentStatistics } }
}
