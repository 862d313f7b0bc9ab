import DormouseClient

/// The timed work of `bench`.
struct Benchmark {
  let session: OpenSession
  /// Those that generate at the same time.
  let concurrent: ConcurrentSessions
  let vocabularySize: Int
  let bench: BenchCommand

  /// Seconds of each repetition, and the limits before each and after the last.
  struct Measurements {
    var prefill: [Double] = []
    var decode: [Double] = []
    /// Empty for one session alone.
    var concurrent: [ConcurrentSessions.Measurement] = []
    var machine: [Library.Machine] = []
  }

  /// Tokens that warm up: they touch the code and the working memory, and cost little.
  private static let warmUpCount = 16

  func run() throws -> Measurements {
    var measurements = Measurements()
    let progress = BenchProgress(repetitions: bench.reps)
    defer { ProgressBar.clear() }
    var random = RandomIDs(vocabularySize: vocabularySize)
    progress.begin("warming up")
    try session.prefill(random.next(bench.depth)[...])
    try warmUp(&random)
    // A generation needs something to go on from.
    for other in concurrent.sessions { try other.prefill(random.next(max(1, bench.depth + bench.prompt))[...]) }
    for repetition in 0..<bench.reps {
      progress.begin("the machine's limits", repetition)
      measurements.machine.append(try limits())
      try session.truncate(bench.depth)
      if bench.prompt > 0 {
        progress.begin("prefill of \(bench.prompt) tokens", repetition)
        measurements.prefill.append(try prefill(random.next(bench.prompt)))
      }
      if bench.gen > 0 {
        progress.begin("decoding of \(bench.gen) tokens", repetition)
        measurements.decode.append(try decode(bench.gen, after: bench.prompt > 0 ? [] : random.next(1)))
      }
      if !concurrent.sessions.isEmpty {
        progress.begin("\(concurrent.sessions.count) sessions", repetition)
        measurements.concurrent.append(try concurrent.decode(bench.gen, depth: max(1, bench.depth + bench.prompt)))
      }
    }
    progress.begin("the machine's limits", bench.reps)
    measurements.machine.append(try limits())
    return measurements
  }

  private func warmUp(_ random: inout RandomIDs) throws {
    if bench.prompt > 0 { try session.prefill(random.next(min(bench.prompt, Benchmark.warmUpCount))[...]) }
    if bench.gen > 0 { _ = try decode(1, after: bench.prompt > 0 ? [] : random.next(1)) }
  }

  private func limits() throws -> Library.Machine {
    if Interrupt.shared.isRequested { throw CommandFailure.interrupted }
    return try Library.measureMachine(threads: bench.model.machine.threads ?? 0)
  }

  private func prefill(_ ids: [Int32]) throws -> Double {
    let start = Clock.seconds()
    try session.prefill(ids[...])
    return Clock.seconds() - start
  }

  private func decode(_ count: Int, after ids: [Int32]) throws -> Double {
    let span = try session.decode(count, after: ids)
    return span.last - span.first
  }
}

/// What is measured now, on a terminal. It is drawn between the timed works alone, so that it costs them nothing.
private struct BenchProgress {
  let repetitions: Int

  /// - Parameter repetition: from 0; the number of repetitions stands for what comes after the last.
  func begin(_ work: String, _ repetition: Int = 0) {
    let number = min(repetition + 1, repetitions)
    let repetitions = repetitions
    let bar = ProgressBar("measuring", drawsAlways: true) { _, _ in "\(work), \(number) of \(repetitions)" }
    bar.show(UInt64(repetition), of: UInt64(repetitions))
  }
}

extension OpenSession {
  /// Generates, and tells when the first token came and when the one `count` after it: every one of these costs a step
  /// of the model and a choice.
  func decode(_ count: Int, after ids: [Int32]) throws -> (first: Double, last: Double) {
    var first: Double?
    var last = 0.0
    var options = GenerationOptions()
    options.maxTokens = UInt32(clamping: count + 1)
    options.temperature = 0
    options.ignoreEos = true
    try generate(.tokens(ids), options) { event in
      guard case .token = event else { return }
      last = Clock.seconds()
      first = first ?? last
      if Interrupt.shared.isRequested { throw CommandFailure.interrupted }
    }
    guard let first, last > first else { throw CommandFailure(message: "the model generated no tokens to time") }
    return (first, last)
  }
}

/// Token ids that are the same in every run: SplitMix64.
struct RandomIDs {
  private var state: UInt64 = 1
  private let vocabularySize: UInt64

  init(vocabularySize: Int) { self.vocabularySize = UInt64(max(1, vocabularySize)) }

  mutating func next(_ count: Int) -> [Int32] {
    (0..<count).map { _ in
      state &+= 0x9E37_79B9_7F4A_7C15
      var value = state
      value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
      value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
      return Int32(truncatingIfNeeded: (value ^ (value >> 31)) % vocabularySize)
    }
  }
}
