import DormouseSupport
import Testing

@testable import DormouseEngine

/// Who is let in, and when: random arrivals, departures and cancels against a model of the line, and the wakings that no
/// order of them brings about by itself.
@Suite struct AdmissionTests {
  @Test(arguments: 1...8) func theLineIsThatOfTheModel(_ seed: Int) throws {
    var random = Random(state: UInt64(seed))
    let limits = Scheduler.Limits(
      batch: Int.random(in: 1...4, using: &random), queue: Int.random(in: 0...6, using: &random))
    var hall = Hall(limits, pages: Int.random(in: 4...9, using: &random), random)
    for step in 0..<60 {
      guard try hall.operate() else {
        Issue.record("seed \(seed), step \(step): \(hall.difference)")
        break
      }
    }
    hall.close()
    if try hall.isAsModelled() { hall.expectSeconds() }
  }

  private static func request(_ scheduler: Scheduler) -> StepRequest {
    scheduler.makeRequest(CallState(of: "the session"))
  }

  /// Two places that come free while the first in line prepares are two places: the second in line is not forgotten.
  @Test func whoStandsBehindIsWokenToo() throws {
    let scheduler = Scheduler(Scheduler.Limits(batch: 2))
    let inside = [Self.request(scheduler), Self.request(scheduler)]
    for request in inside { try scheduler.enter(request, WorkTerms()) {} }
    let (threads, preparing, gate, second) = (Threads(), Gate(), Gate(), Gate())
    let waiting = [Self.request(scheduler), Self.request(scheduler)]
    try threads.start {
      try scheduler.enter(waiting[0], WorkTerms()) { () throws(Failure) in
        preparing.open()
        gate.wait()
      }
    }
    try waitFor { scheduler.statistics.waiting == 1 }
    try threads.start {
      try scheduler.enter(waiting[1], WorkTerms()) {}
      second.open()
    }
    try waitFor { scheduler.statistics.waiting == 2 }
    scheduler.leave(inside[0])
    preparing.wait()
    scheduler.leave(inside[1])
    gate.open()
    second.wait()
    threads.join()
    #expect(scheduler.statistics.working == 2)
  }

  /// Pages that come free while somebody finds too few of them are looked for again, though nobody else leaves.
  @Test func departuresWhilePreparingCount() throws {
    let scheduler = Scheduler(Scheduler.Limits(batch: 2))
    let first = Self.request(scheduler)
    try scheduler.enter(first, WorkTerms()) {}
    let (threads, done) = (Threads(), Gate())
    try threads.start {
      var tries = 0
      try scheduler.enter(Self.request(scheduler), WorkTerms()) { () throws(Failure) in
        tries += 1
        guard tries == 1 else { return }
        scheduler.leave(first)
        throw Failure(.outOfMemory, "no pages")
      }
      done.open()
    }
    done.wait()
    threads.join()
    #expect(scheduler.statistics.entered == 2 && scheduler.statistics.failed == 0)
  }

  /// A place that somebody prepares to take is taken.
  @Test func whoPreparesHasAPlace() throws {
    let scheduler = Scheduler(Scheduler.Limits(batch: 2, queue: 0))
    try scheduler.enter(Self.request(scheduler), WorkTerms()) {}
    let (threads, preparing, gate) = (Threads(), Gate(), Gate())
    try threads.start {
      try scheduler.enter(Self.request(scheduler), WorkTerms()) { () throws(Failure) in
        preparing.open()
        gate.wait()
      }
    }
    preparing.wait()
    let third = Runs.status { try scheduler.enter(Self.request(scheduler), WorkTerms(timeLimit: 10)) {} }
    #expect(third == .overloaded)
    gate.open()
    threads.join()
    #expect(scheduler.statistics.working == 2 && scheduler.statistics.refused == 1)
  }
}

/// One call in the hall: in line, inside until it is told to leave, or at its end.
private final class Call: Sendable {
  let number: Int
  let priority: Int
  /// Pages that it needs, one at least.
  let pages: Int
  let state = CallState(of: "the session")
  let request: StepRequest
  let leave = Gate()

  init(_ number: Int, priority: Int, pages: Int, _ scheduler: Scheduler) {
    self.number = number
    self.priority = priority
    self.pages = pages
    request = scheduler.makeRequest(state)
  }
}

/// The line as it should be.
private struct LineModel {
  let limits: Scheduler.Limits
  var free: Int
  var line: [Call] = []
  var inside: [Call] = []
  /// Numbers of calls in the order in which they were let in.
  var order: [Int] = []
  /// How calls have ended; nil: they left.
  var ends: [Int: Status?] = [:]
  var departed = 0

  mutating func arrive(_ call: Call, isLate: Bool) {
    guard line.count < limits.queue || inside.count + line.count < limits.batch else {
      ends[call.number] = .overloaded
      return
    }
    if isLate {
      ends[call.number] = .timedOut
    } else {
      line.insert(call, at: line.firstIndex { $0.priority < call.priority } ?? line.count)
    }
    settle()
  }

  mutating func leave(_ calls: [Call]) {
    for call in calls {
      inside.removeAll { $0 === call }
      free += call.pages
      ends[call.number] = .some(nil)
      departed += 1
    }
    settle()
  }

  mutating func cancel(_ call: Call) {
    line.removeAll { $0 === call }
    ends[call.number] = .cancelled
    settle()
  }

  /// The first in line goes in as long as there are places and pages; nobody passes it.
  private mutating func settle() {
    while let first = line.first, inside.count < limits.batch {
      if first.pages <= free {
        free -= first.pages
        inside.append(first)
        order.append(first.number)
      } else if inside.isEmpty {
        ends[first.number] = .outOfMemory
      } else {
        return
      }
      line.removeFirst()
    }
  }

  /// What the scheduler should have counted.
  var counts: [Int] {
    func ended(_ statuses: Status...) -> Int { ends.values.count { $0.map(statuses.contains) ?? false } }
    return [
      line.count, inside.count, order.count, departed, ended(.overloaded), ended(.cancelled),
      ended(.outOfMemory, .timedOut),
    ]
  }
}

/// A scheduler whose sessions do nothing but come and go, each on a thread of its own.
private struct Hall {
  /// What the threads tell.
  private struct Seen {
    var free: Int
    var order: [Int] = []
    var ends: [Int: Status?] = [:]
    /// Pages that were free when each call tried last.
    var tried: [Int: Int] = [:]
    /// Seconds from before each successful `enter` until after it.
    var seconds = 0.0
  }

  private let scheduler: Scheduler
  private var model: LineModel
  private let seen: Locked<Seen>
  private let threads = Threads()
  private var random: Random
  private var callCount = 0
  /// When each waiting call was seen to wait, and the seconds that calls have waited at least.
  private var since: [Int: Double] = [:]
  private var leastSeconds = 0.0

  init(_ limits: Scheduler.Limits, pages: Int, _ random: Random) {
    scheduler = Scheduler(limits)
    model = LineModel(limits: limits, free: pages)
    seen = Locked(Seen(free: pages))
    self.random = random
  }

  /// Does something, and waits until all is as the model has it.
  /// - Returns: false when it does not become so.
  mutating func operate() throws -> Bool {
    let began = Clock.now()
    switch random.next() % 8 {
    case 0, 1, 2: try arrive()
    case 3 where !model.line.isEmpty: cancel()
    case 4: leave(model.inside)
    default: leave(Array(model.inside.shuffled(using: &random).prefix(1)))
    }
    for number in model.order {
      if let seen = since.removeValue(forKey: number) { leastSeconds += began - seen }
    }
    guard try isAsModelled() else { return false }
    let now = Clock.now()
    for call in model.line where since[call.number] == nil { since[call.number] = now }
    return true
  }

  private mutating func arrive() throws {
    for _ in 0..<Int.random(in: 1...3, using: &random) {
      let call = Call(
        callCount, priority: Int.random(in: -1...1, using: &random), pages: Int.random(in: 1...4, using: &random),
        scheduler)
      callCount += 1
      let isLate = random.next() % 9 == 0
      model.arrive(call, isLate: isLate)
      var terms = WorkTerms(priority: call.priority)
      if isLate { (terms.timeLimit, terms.start) = (1, Clock.now() - 2) }
      try threads.start { [scheduler, seen, terms] in
        let status = Runs.status { try Hall.pass(call, scheduler, terms, seen) }
        seen.withLock { $0.ends[call.number] = .some(status) }
      }
      // Calls stand in line in the order in which they came.
      guard try isAsModelled() else { return }
    }
  }

  /// A call from its arrival to its end.
  private static func pass(
    _ call: Call, _ scheduler: Scheduler, _ terms: WorkTerms, _ seen: Locked<Seen>
  ) throws(Failure) {
    try call.state.exclusively { () throws(Failure) in
      let called = Clock.now()
      try scheduler.enter(call.request, terms) { () throws(Failure) in
        let isEnough = seen.withLock { seen in
          seen.tried[call.number] = seen.free
          guard seen.free >= call.pages else { return false }
          seen.free -= call.pages
          seen.order.append(call.number)
          return true
        }
        guard isEnough else { throw Failure(.outOfMemory, "no pages") }
      }
      seen.withLock { $0.seconds += Clock.now() - called }
      call.leave.wait()
      seen.withLock { $0.free += call.pages }
      scheduler.leave(call.request)
    }
  }

  private mutating func cancel() {
    guard let call = model.line.randomElement(using: &random) else { return }
    model.cancel(call)
    call.state.cancel()
    scheduler.poke(call.request)
  }

  private mutating func leave(_ calls: [Call]) {
    model.leave(calls)
    for call in calls { call.leave.open() }
  }

  /// Lets everybody go.
  mutating func close() {
    while !model.line.isEmpty || !model.inside.isEmpty {
      for call in model.line { call.state.cancel() }
      for call in model.line { scheduler.poke(call.request) }
      let waiting = model.line
      model.line = []
      for call in waiting { model.ends[call.number] = .cancelled }
      leave(model.inside)
    }
    threads.join()
  }

  /// Waits until nothing moves any more, and all is as the model has it.
  func isAsModelled() throws -> Bool {
    let limit = Clock.now() + 10
    while Clock.now() < limit { if difference.isEmpty { return true } }
    return false
  }

  /// What is not as the model has it; empty for nothing.
  var difference: String {
    let isAtRest = scheduler.monitor.withLock { model.line.allSatisfy { $0.request.phase == .waiting } }
    let statistics = scheduler.statistics
    let counts = [
      statistics.waiting, statistics.working, statistics.entered, statistics.left, statistics.refused,
      statistics.cancelled, statistics.failed,
    ]
    let seen = seen.withLock { $0 }
    if counts != model.counts { return "counts are \(counts), not \(model.counts)" }
    if seen.order != model.order { return "let in were \(seen.order), not \(model.order)" }
    if seen.ends != model.ends || seen.free != model.free { return "ends are \(seen.ends), not \(model.ends)" }
    // Whoever is the first has looked for pages, so that what comes next does not meet it half-way.
    guard let first = model.line.first, model.inside.count < model.limits.batch else { return "" }
    return isAtRest && seen.tried[first.number] ?? -1 >= seen.free ? "" : "call \(first.number) has not tried"
  }

  /// What was counted as waiting is what calls have waited, and no more than `enter` has taken.
  func expectSeconds() {
    let counted = scheduler.statistics.waitingSeconds
    #expect(counted >= leastSeconds && counted <= seen.withLock { $0.seconds } + 1e-6)
  }
}
