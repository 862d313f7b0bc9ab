import DormouseMedia
import DormouseModel
import DormouseSupport

/// What the scheduler's thread and its callers share; all of it is guarded by `monitor`, but for the decoder and the
/// batch, which belong to the thread.
final class SchedulerLoop: @unchecked Sendable {
  let monitor = Monitor()
  private let limits: Scheduler.Limits
  /// The thread sleeps here.
  private let work: Monitor.Condition
  /// Whoever starts the thread sleeps here.
  private let ready: Monitor.Condition
  private var start: Result<Void, Failure>?
  private var isStopping = false

  /// Sessions that wait to be let in, first come first, larger priorities before smaller ones.
  private var line: [StepRequest] = []
  /// Sessions that are in.
  private var inside: ContiguousArray<StepRequest> = []
  /// Of these, those that wait for a step, in the same order.
  private var pending: ContiguousArray<StepRequest> = []
  private var nextOrder: UInt64 = 0
  private var statistics = SchedulerStatistics()

  /// The step under way.
  private var batch: ContiguousArray<StepRequest> = []
  private var segments: ContiguousArray<Segment> = []
  /// Who has the step's one part of an encoding.
  private var encoding: StepRequest?
  private var stepSeconds = 0.0

  init(_ limits: Scheduler.Limits) {
    self.limits = limits
    work = monitor.makeCondition()
    ready = monitor.makeCondition()
    inside.reserveCapacity(limits.batch)
    pending.reserveCapacity(limits.batch)
    batch.reserveCapacity(limits.batch)
    segments.reserveCapacity(limits.batch)
  }

  var currentStatistics: SchedulerStatistics {
    var current = statistics
    current.waiting = line.count
    current.working = inside.count
    return current
  }
}

/// The callers' side.
extension SchedulerLoop {
  /// - Returns: why the thread could not start, or nil.
  func waitUntilReady() -> Failure? {
    monitor.withLock {
      while true {
        switch start {
        case nil: ready.wait()
        case .success: return nil
        case .failure(let failure): return failure
        }
      }
    }
  }

  func stop() {
    monitor.withLock {
      isStopping = true
      work.signal()
    }
  }

  func enter(
    _ request: StepRequest, _ terms: WorkTerms, _ prepare: () throws(Failure) -> Void
  ) throws(Failure) {
    let arrival = Clock.now()
    try monitor.withLock { () throws(Failure) in
      guard line.count < limits.queue || inside.count + line.count < limits.batch else {
        statistics.refused += 1
        throw Failure(
          .overloaded, "\(line.count) sessions wait already, which is queue_limit, and \(inside.count) are at work")
      }
      request.priority = terms.priority
      request.timeLimit = terms.timeLimit ?? .infinity
      request.deadline = terms.deadline(from: arrival)
      request.isGenerating = false
      number(request)
      request.phase = .waiting
      let place = line.firstIndex { $0.phase != .preparing && request.comesBefore($0) }
      line.insert(request, at: place ?? line.count)
    }
    do {
      while try !tryToEnter(request, prepare) {}
      monitor.withLock { statistics.waitingSeconds += Clock.now() - arrival }
    } catch {
      monitor.withLock {
        remove(request, from: &line)
        request.phase = .idle
        wakeFirst()
        if error.status == .cancelled { statistics.cancelled += 1 } else { statistics.failed += 1 }
      }
      throw error
    }
  }

  /// Sleeps until the request is the first in line and there is room, then prepares it.
  /// - Returns: false when somebody has to leave first.
  private func tryToEnter(
    _ request: StepRequest, _ prepare: () throws(Failure) -> Void
  ) throws(Failure) -> Bool {
    let (others, left) = try monitor.withLock { () throws(Failure) in
      while true {
        if let interruption = request.interruption { throw interruption }
        if line.first === request, inside.count < limits.batch {
          request.phase = .preparing
          return (inside.count, statistics.left)
        }
        request.sleep()
      }
    }
    do {
      // Nobody else prepares meanwhile: it stays the first in line.
      try prepare()
    } catch {
      guard error.status == .outOfMemory, others > 0 else { throw error }
      try monitor.withLock { () throws(Failure) in
        request.phase = .waiting
        while statistics.left == left {
          if let interruption = request.interruption { throw interruption }
          request.sleep()
        }
      }
      return false
    }
    monitor.withLock {
      remove(request, from: &line)
      inside.append(request)
      request.phase = .idle
      statistics.entered += 1
      wakeFirst()
    }
    return true
  }

  func leave(_ request: StepRequest) {
    monitor.withLock {
      // A call that was lost has left already.
      guard let place = inside.firstIndex(where: { $0 === request }) else { return }
      inside.remove(at: place)
      statistics.left += 1
      wakeFirst()
      // The others may have waited for it alone.
      work.signal()
    }
  }

  func step(_ request: StepRequest, _ segment: Segment, isGenerating: Bool) throws(Failure) -> Int {
    try run(request) {
      request.segment = segment
      request.isGenerating = isGenerating
    }
    return request.granted
  }

  /// Does the next part of the request's encoding.
  func encodeStep(_ request: StepRequest) throws(Failure) {
    try run(request) { request.isGenerating = false }
  }

  /// Asks for a step with what `prepare` has put into the request, and sleeps until it is done.
  private func run(_ request: StepRequest, _ prepare: () -> Void) throws(Failure) {
    let outcome = try monitor.withLock { () throws(Failure) in
      if let interruption = request.interruption { throw interruption }
      prepare()
      request.phase = .pending
      number(request)
      pending.insert(request, at: pending.firstIndex { request.comesBefore($0) } ?? pending.count)
      work.signal()
      while request.phase != .idle {
        if request.phase == .pending, let interruption = request.interruption {
          pending.removeAll { $0 === request }
          request.phase = .idle
          request.segment = nil
          throw interruption
        }
        // While it is computed, the thread looks whether it is to stop.
        if request.phase == .pending { request.sleep() } else { request.condition.wait() }
      }
      return request.outcome
    }
    switch outcome {
    case .done: return
    case .cancelled: throw request.interruption ?? Failure(.cancelled, "the session was cancelled")
    case .failed(let failure): throw failure
    }
  }

  private func number(_ request: StepRequest) {
    request.order = nextOrder
    nextOrder += 1
  }

  private func wakeFirst() { line.first?.condition.signal() }

  private func remove(_ request: StepRequest, from list: inout [StepRequest]) {
    list.removeAll { $0 === request }
  }
}

/// The thread's side.
extension SchedulerLoop {
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
      encode()
      stepSeconds = Clock.now() - began
      monitor.withLock { endStep(decoder) }
    }
  }

  private func report(_ result: Result<Void, Failure>) {
    monitor.withLock {
      start = result
      ready.signal()
    }
  }

  /// Waits for work, and makes a batch of it. False when the thread is to stop.
  private func beginStep(_ decoder: Decoder) -> Bool {
    var giveUp: Double?
    while !isStopping {
      if pending.isEmpty {
        giveUp = nil
        work.wait()
      } else if pending.count == inside.count {
        break
      } else {
        // Those who were in the last step sample now, and are about to ask for the next.
        let now = Clock.now()
        let limit = giveUp ?? now + gatheringSeconds
        giveUp = limit
        if now >= limit { break }
        work.wait(until: limit)
      }
    }
    guard !isStopping else { return false }
    choose(chunk: decoder.chunk)
    return true
  }

  /// Does one part of an encoding.
  private func encode() {
    guard let encoding else { return }
    do {
      encoding.isEncoded = try encoding.encoding?.advance() ?? true
      encoding.outcome = .done
    } catch {
      encoding.outcome = .failed(error)
    }
  }

  /// How long a step waits for sessions that are not ready: little beside what computing them apart would cost.
  private var gatheringSeconds: Double { min(max(stepSeconds * 0.1, 100e-6), 20e-3) }

  /// Moves requests from `pending` to `batch`: generating sessions first, whose tokens are few, then pieces of prompts.
  private func choose(chunk: Int) {
    batch.removeAll(keepingCapacity: true)
    segments.removeAll(keepingCapacity: true)
    var room = chunk
    for request in pending where request.isGenerating { take(request, &room) }
    takeEncoding()
    let isAnyGenerating = inside.contains { $0.isGenerating }
    room = isAnyGenerating ? min(room, limits.promptTokensPerStep) : room
    for request in pending where !request.isGenerating { take(request, &room) }
    pending.removeAll { $0.phase == .running }
  }

  private func takeEncoding() {
    guard let request = pending.first(where: { $0.segment == nil && $0.encoding != nil }) else { return }
    request.phase = .running
    encoding = request
  }

  private func take(_ request: StepRequest, _ room: inout Int) {
    guard room > 0, batch.count < limits.batch, var segment = request.segment else { return }
    let count = min(room, segment.tokens.count)
    if count < segment.tokens.count {
      segment.tokens = segment.tokens.prefix(count)
      if case .last = segment.logits { segment.logits = .none }
    }
    room -= count
    request.granted = count
    request.phase = .running
    request.segment = nil
    batch.append(request)
    segments.append(segment)
  }

  private func endStep(_ decoder: Decoder) {
    statistics.count(batch, isEncoding: encoding != nil, seconds: stepSeconds)
    // The sessions' tokens and caches are their own again before they wake.
    segments.removeAll(keepingCapacity: true)
    for (index, request) in batch.enumerated() {
      request.outcome = decoder.outcomes[index]
      request.phase = .idle
      request.condition.signal()
    }
    batch.removeAll(keepingCapacity: true)
    if let encoding {
      encoding.phase = .idle
      encoding.condition.signal()
    }
    encoding = nil
  }
}

extension StepRequest {
  fileprivate func comesBefore(_ other: StepRequest) -> Bool {
    (priority, other.order) > (other.priority, order)
  }
}
