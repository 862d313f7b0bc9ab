import DormouseMedia
import DormouseModel
import DormouseSupport

/// Computes the steps of all of an engine's sessions on a thread of its own, as many of them as there are in one batch.
///
/// Sessions stay on their callers' threads: each asks for one step at a time (`step`), sleeps until it is done, and
/// samples and calls back while the next one may already run. A step takes one token of each session that generates,
/// and pieces of prompts; while anybody generates, together at most `promptTokensPerStep` of them, which bounds what a
/// long prompt costs the others. `enter` lets only so many sessions work at a time, in order of priority and arrival.
///
/// `monitor` guards everything but the step under way and the decoder, which belong to the thread.
final class Scheduler: @unchecked Sendable {
  struct Limits: Sendable, Equatable {
    /// Sessions at work at a time.
    var batch = 16
    /// Sessions that may wait to be let in.
    var queue = 256
    /// Tokens of prompts that a step computes while other sessions generate.
    var promptTokensPerStep = 64
  }

  private let limits: Limits
  let monitor = Monitor()
  /// The thread sleeps here until somebody asks for a step.
  private let hasWork: Monitor.Condition
  /// Whoever starts the thread sleeps here.
  private let hasStarted: Monitor.Condition
  private var thread: BackgroundThread?
  private var start: Result<Void, Failure>?
  private var isStopping = false

  /// Sessions that wait to be let in, first come first, larger priorities before smaller ones.
  private var line: [StepRequest] = []
  /// Sessions that are in.
  private var inside: ContiguousArray<StepRequest> = []
  /// Of these, those that wait for a step, in the same order.
  private var pending: ContiguousArray<StepRequest> = []
  /// Requests that have been numbered.
  private var requestCount: UInt64 = 0
  /// Sessions that have left: who waits for memory looks again when there is one more.
  private var departureCount: UInt64 = 0
  private var counted = SchedulerStatistics()

  /// The step under way: sessions with tokens, what is computed of each, and the session that encodes.
  private var batch: ContiguousArray<StepRequest> = []
  private var segments: ContiguousArray<Segment> = []
  private var encoder: StepRequest?
  /// Seconds of the last step.
  private var stepSeconds = 0.0

  /// Lets sessions in; steps are computed once there is a thread.
  init(_ limits: Limits) {
    self.limits = limits
    hasWork = monitor.makeCondition()
    hasStarted = monitor.makeCondition()
    inside.reserveCapacity(limits.batch)
    pending.reserveCapacity(limits.batch)
    batch.reserveCapacity(limits.batch)
    segments.reserveCapacity(limits.batch)
  }

  /// Starts the thread, which holds the model and the scheduler until `stop`.
  /// - Throws: `Failure(.outOfMemory)` when there is no memory to compute in, or no thread.
  convenience init(model: Model, options: DecoderOptions, limits: Limits) throws(Failure) {
    self.init(limits)
    let thread = try BackgroundThread(name: "dormouse-0") { [self] in
      run { () throws(Failure) in
        try model.pool.pinCaller()
        return try Decoder(model: model, options: options)
      }
    }
    do {
      try monitor.withLock { () throws(Failure) in
        while start == nil { hasStarted.wait() }
        try start?.get()
      }
    } catch {
      thread.join()
      throw error
    }
    self.thread = thread
  }

  /// Ends the thread. Once, when no session is at work any more.
  func stop() {
    monitor.withLock {
      isStopping = true
      hasWork.signal()
    }
    thread?.join()
  }

  var statistics: SchedulerStatistics {
    monitor.withLock {
      var current = counted
      current.waiting = line.count
      current.working = inside.count
      return current
    }
  }
}

/// Coming and going, on the callers' threads.
extension Scheduler {
  /// A session's place, to be used by one call at a time.
  func makeRequest(_ state: CallState) -> StepRequest { StepRequest(sessionState: state, monitor: monitor) }

  /// Waits to be let in.
  ///
  /// - Parameter prepare: takes the memory that the work needs; tried again when others have left while
  ///   it fails for `.outOfMemory`.
  /// - Throws: `Failure(.overloaded)` when the line is full, `.cancelled`, `.timedOut`, and what `prepare` throws when
  ///   nobody's leaving can help.
  func enter(
    _ request: StepRequest, _ terms: WorkTerms, prepare: () throws(Failure) -> Void
  ) throws(Failure) {
    let arrival = Clock.now()
    try monitor.withLock { () throws(Failure) in try standInLine(request, terms, arrival) }
    do {
      while try !tryToEnter(request, prepare) {}
      monitor.withLock { counted.waitingSeconds += Clock.now() - arrival }
    } catch {
      monitor.withLock {
        line.removeAll { $0 === request }
        request.phase = .idle
        wakeFirst()
        if error.status == .cancelled { counted.cancelled += 1 } else { counted.failed += 1 }
      }
      throw error
    }
  }

  /// - Parameter arrival: seconds of `Clock`.
  private func standInLine(_ request: StepRequest, _ terms: WorkTerms, _ arrival: Double) throws(Failure) {
    guard line.count < limits.queue || inside.count + line.count < limits.batch else {
      counted.refused += 1
      throw Failure(
        .overloaded, "\(line.count) sessions wait already, which is queue_limit, and \(inside.count) are at work")
    }
    request.priority = terms.priority
    request.timeLimit = terms.timeLimit ?? .infinity
    request.deadline = terms.deadline(from: arrival)
    request.isGenerating = false
    number(request)
    request.phase = .waiting
    // Nobody passes whoever prepares.
    let place = line.firstIndex { $0.phase != .preparing && request.comesBefore($0) }
    line.insert(request, at: place ?? line.count)
  }

  /// Sleeps until the request is the first in line and there is room, then prepares it.
  /// - Returns: false when somebody had to leave first, and has.
  private func tryToEnter(
    _ request: StepRequest, _ prepare: () throws(Failure) -> Void
  ) throws(Failure) -> Bool {
    let (others, departures) = try monitor.withLock { () throws(Failure) in
      try sleep(request) { line.first === request && inside.count < limits.batch }
      request.phase = .preparing
      return (inside.count, departureCount)
    }
    do {
      // Nobody else prepares meanwhile: it stays the first in line.
      try prepare()
    } catch {
      guard error.status == .outOfMemory, others > 0 else { throw error }
      try monitor.withLock { () throws(Failure) in
        request.phase = .waiting
        try sleep(request) { departureCount != departures }
      }
      return false
    }
    monitor.withLock {
      line.removeAll { $0 === request }
      inside.append(request)
      request.phase = .idle
      counted.entered += 1
      wakeFirst()
    }
    return true
  }

  /// Ends what a successful `enter` began.
  func leave(_ request: StepRequest) {
    monitor.withLock {
      // A call that was lost has left already.
      guard let place = inside.firstIndex(where: { $0 === request }) else { return }
      inside.remove(at: place)
      departureCount += 1
      counted.left += 1
      wakeFirst()
      // The others may have waited for it alone.
      hasWork.signal()
    }
  }

  /// Wakes a session that waits, to look at its wish to cancel.
  func poke(_ request: StepRequest) { monitor.withLock { request.condition.signal() } }

  private func number(_ request: StepRequest) {
    request.order = requestCount
    requestCount += 1
  }

  private func wakeFirst() { line.first?.condition.signal() }

  /// Lets the monitor go until `condition` holds.
  /// - Throws: what interrupts the request.
  private func sleep(_ request: StepRequest, until condition: () -> Bool) throws(Failure) {
    while true {
      if let interruption = request.interruption { throw interruption }
      if condition() { return }
      request.sleep()
    }
  }
}

/// Asking for steps, on the callers' threads.
extension Scheduler {
  /// Computes the next tokens of `segment`, at least one, and returns how many.
  /// - Parameter isGenerating: whether the session is past its prompt; others' prompts then go in smaller pieces.
  /// - Throws: `Failure(.cancelled)` or `.timedOut` within one layer's time, or what the decoder says.
  func step(_ request: StepRequest, _ segment: Segment, isGenerating: Bool) throws(Failure) -> Int {
    try perform(.tokens(segment), for: request, isGenerating: isGenerating)
  }

  /// Encodes an image, video or audio, in as many steps as it takes: each does one part of it beside the tokens of
  /// others. What the run prepares, it prepares on the calling thread.
  /// - Throws: `Failure(.cancelled)` or `.timedOut` within a part's time, or what the run says.
  func encode(
    _ request: StepRequest, _ run: any EncodingRun, onPortion: () throws(Failure) -> Void
  ) throws(Failure) {
    let encoding = Encoding(run)
    while try encoding.prepareNext() {
      while !encoding.isPortionDone { _ = try perform(.encoding(encoding), for: request, isGenerating: false) }
      try onPortion()
    }
  }

  /// Asks for a step, and sleeps until it is done.
  /// - Returns: the tokens that it computed.
  private func perform(_ work: StepWork, for request: StepRequest, isGenerating: Bool) throws(Failure) -> Int {
    let outcome = try monitor.withLock { () throws(Failure) in
      if let interruption = request.interruption { throw interruption }
      request.work = work
      request.isGenerating = isGenerating
      request.phase = .pending
      number(request)
      pending.insert(request, at: pending.firstIndex { request.comesBefore($0) } ?? pending.count)
      hasWork.signal()
      while request.phase != .idle {
        if request.phase == .pending, let interruption = request.interruption {
          pending.removeAll { $0 === request }
          request.phase = .idle
          request.work = nil
          throw interruption
        }
        // While it is computed, the thread looks whether it is to stop.
        if request.phase == .pending { request.sleep() } else { request.condition.wait() }
      }
      return request.outcome
    }
    return try outcome.get()
  }
}

/// The thread's side.
extension Scheduler {
  /// Makes the decoder, and computes steps until it is stopped.
  func run(_ makeDecoder: () throws(Failure) -> Decoder) {
    let decoder: Decoder
    do {
      decoder = try makeDecoder()
    } catch {
      return report(.failure(error))
    }
    report(.success(()))
    while monitor.withLock({ beginStep(decoder) }) {
      let began = Clock.now()
      decoder.forward(segments) { [batch] in batch[$0].interruption != nil }
      encoder?.encodePart()
      stepSeconds = Clock.now() - began
      monitor.withLock { endStep(decoder) }
    }
  }

  private func report(_ result: Result<Void, Failure>) {
    monitor.withLock {
      start = result
      hasStarted.signal()
    }
  }

  /// Waits for work, and makes a batch of it. False when the thread is to stop.
  private func beginStep(_ decoder: Decoder) -> Bool {
    var giveUp: Double?
    while !isStopping {
      if pending.isEmpty {
        giveUp = nil
        hasWork.wait()
      } else if pending.count == inside.count {
        break
      } else {
        // Those who were in the last step sample now, and are about to ask for the next.
        let now = Clock.now()
        let limit = giveUp ?? now + gatheringSeconds
        giveUp = limit
        if now >= limit { break }
        hasWork.wait(until: limit)
      }
    }
    guard !isStopping else { return false }
    choose(chunk: decoder.chunk)
    return true
  }

  /// How long a step waits for sessions that are not ready: little beside what computing them apart would cost.
  private var gatheringSeconds: Double { min(max(stepSeconds * 0.1, 100e-6), 20e-3) }

  /// Moves requests from `pending` to the step: generating sessions first, whose tokens are few, then the first that
  /// encodes, then pieces of prompts.
  private func choose(chunk: Int) {
    var room = chunk
    for request in pending where request.isGenerating { take(request, &room) }
    encoder = pending.first { $0.isEncoding }
    encoder?.phase = .running
    if inside.contains(where: { $0.isGenerating }) { room = min(room, limits.promptTokensPerStep) }
    for request in pending where !request.isGenerating { take(request, &room) }
    pending.removeAll { $0.phase == .running }
  }

  /// Takes the next tokens of a request, if it has any and they find room.
  private func take(_ request: StepRequest, _ room: inout Int) {
    guard room > 0, batch.count < limits.batch, case .tokens(var segment) = request.work else { return }
    let count = min(room, segment.tokens.count)
    if count < segment.tokens.count {
      segment.tokens = segment.tokens.prefix(count)
      if case .last = segment.logits { segment.logits = .none }
      if case .last = segment.states { segment.states = nil }
    }
    room -= count
    request.phase = .running
    request.work = nil
    batch.append(request)
    segments.append(segment)
  }

  private func endStep(_ decoder: Decoder) {
    counted.count(batch, segments, isEncoding: encoder != nil, seconds: stepSeconds)
    for (index, request) in batch.enumerated() {
      request.outcome =
        switch decoder.outcomes[index] {
        case .done: .success(segments[index].tokens.count)
        case .cancelled: .failure(request.interruption ?? Failure(.cancelled, "the session was cancelled"))
        case .failed(let failure): .failure(failure)
        }
    }
    // The sessions' tokens and caches are their own again before they wake.
    segments.removeAll(keepingCapacity: true)
    for request in batch { request.wake() }
    batch.removeAll(keepingCapacity: true)
    encoder?.wake()
    encoder = nil
  }
}

extension StepRequest {
  fileprivate func comesBefore(_ other: StepRequest) -> Bool {
    (priority, other.order) > (other.priority, order)
  }

  fileprivate var isEncoding: Bool { if case .encoding = work { true } else { false } }

  /// Does the next part of its encoding.
  fileprivate func encodePart() {
    guard case .encoding(let encoding) = work else { return }
    work = nil
    do {
      try encoding.advance()
      outcome = .success(0)
    } catch {
      outcome = .failure(error)
    }
  }

  fileprivate func wake() {
    phase = .idle
    condition.signal()
  }
}
