import ArgumentParser
import CDormouse

struct BenchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench",
    abstract: "Measures prefill and decode beside the machine's own limits.",
    discussion: """
      Each repetition puts --depth tokens into the session (not timed), then times --prompt tokens at once, then \
      --gen tokens one by one. Token ids are pseudo-random; no tokenizer is needed.
      """)

  @OptionGroup var model: ModelOptions
  @OptionGroup var output: OutputOptions

  @Option(help: ArgumentHelp("Tokens to prefill.", valueName: "n"))
  var prompt = 512

  @Option(help: ArgumentHelp("Tokens to generate.", valueName: "n"))
  var gen = 64

  @Option(help: ArgumentHelp("Tokens in the session before.", valueName: "n"))
  var depth = 0

  @Option(help: ArgumentHelp("Repetitions; the median counts.", valueName: "n"))
  var reps = 3

  func validate() throws {
    let most = 1 << 24
    for (name, value) in [("--prompt", prompt), ("--gen", gen), ("--depth", depth)] where !(0...most).contains(value) {
      throw ValidationError("\(name) must be 0 to \(most).")
    }
    if prompt == 0, gen == 0 { throw ValidationError("with --prompt 0 and --gen 0 there is nothing to measure.") }
    if !(1...1000).contains(reps) { throw ValidationError("--reps must be 1 to 1000.") }
  }

  func run() throws {
    let engine = try OpenEngine(model)
    let facts = try ModelFacts(engine)
    var settings = OpenSession.settings(model)
    // One token starts a generation without a prompt, one more lies between the first and the last that are timed.
    if model.context == nil { settings.context_length = UInt32(clamping: depth + prompt + gen + 2) }
    let session = try OpenSession(engine, settings)
    let machine = try Machine.measure(threads: model.threads ?? 0)
    let times = try session.interruptible { () throws(CommandFailure) in
      try Benchmark(session: session, vocabularySize: facts.vocabularySize, bench: self).run()
    }
    let report = BenchReport(command: self, facts: facts, machine: machine, times: times)
    try Console.write(line: output.json ? JSONDocument.line(report) : report.text)
  }
}

/// What the machine can do at most.
struct Machine {
  var bytesPerSecond: Double
  var operationsPerSecond: Double

  static func measure(threads: UInt32) throws(CommandFailure) -> Machine {
    var machine = Machine(bytesPerSecond: 0, operationsPerSecond: 0)
    try Library.call { dormouse_machine_measure(&machine.bytesPerSecond, &machine.operationsPerSecond, threads, $0) }
    return machine
  }
}

/// The timed work.
private struct Benchmark {
  let session: OpenSession
  let vocabularySize: Int
  let bench: BenchCommand

  /// Seconds of each repetition.
  struct Times {
    var prefill: [Double] = []
    var decode: [Double] = []
  }

  func run() throws(CommandFailure) -> Times {
    var times = Times()
    let bar = ProgressBar("measuring") { "\($0) of \($1)" }
    defer { ProgressBar.clear() }
    var random = RandomIDs(vocabularySize: vocabularySize)
    try session.prefill(random.next(bench.depth)[...])
    for repetition in 0..<bench.reps {
      if Interrupt.shared.isRequested { throw .interrupted }
      try session.truncate(bench.depth)
      if bench.prompt > 0 { times.prefill.append(try prefill(random.next(bench.prompt))) }
      if bench.gen > 0 { times.decode.append(try decode(after: bench.prompt > 0 ? [] : random.next(1))) }
      bar.show(UInt64(repetition + 1), of: UInt64(bench.reps))
    }
    return times
  }

  private func prefill(_ ids: [Int32]) throws(CommandFailure) -> Double {
    let start = Clock.seconds()
    try session.prefill(ids[...])
    return Clock.seconds() - start
  }

  /// From the first token to the last but `gen`: every one of them costs a step of the model and a choice.
  private func decode(after ids: [Int32]) throws(CommandFailure) -> Double {
    var first: Double?
    var last = 0.0
    let configuration = #"{"max_tokens":\#(bench.gen + 1),"temperature":0,"ignore_eos":true}"#
    try session.generate(.tokens(ids), configuration: configuration) { (event) throws(CommandFailure) in
      guard event.kind == DORMOUSE_EVENT_TOKEN else { return }
      last = Clock.seconds()
      first = first ?? last
      if Interrupt.shared.isRequested { throw .interrupted }
    }
    guard let first, last > first else { throw CommandFailure(message: "the model generated no tokens to time") }
    return last - first
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

/// The result: rates, and the limits they are held against.
private struct BenchReport: Encodable {
  struct Phase: Encodable {
    var tokens: Int
    var depth: Int
    var tokens_per_second: Double
    var all_tokens_per_second: [Double]

    init?(tokens: Int, depth: Int, seconds: [Double]) {
      guard !seconds.isEmpty else { return nil }
      self.tokens = tokens
      self.depth = depth
      all_tokens_per_second = seconds.map { Double(tokens) / $0 }
      let sorted = all_tokens_per_second.sorted()
      let middle = sorted.count / 2
      tokens_per_second = sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }
  }

  var model: String
  var threads: Int?
  var instruction_set: String?
  var prefill: Phase?
  var decode: Phase?
  var weight_bytes_per_token: UInt64?
  var weight_bytes_per_second: Double?
  var machine_bytes_per_second: Double
  var share_of_bandwidth: Double?
  var operations_per_second: Double?
  var machine_operations_per_second: Double
  var share_of_arithmetic: Double?

  init(command: BenchCommand, facts: ModelFacts, machine: Machine, times: Benchmark.Times) {
    model = command.model.model
    threads = facts.threads
    instruction_set = facts.instructionSet
    prefill = Phase(tokens: command.prompt, depth: command.depth, seconds: times.prefill)
    decode = Phase(tokens: command.gen, depth: command.depth + command.prompt, seconds: times.decode)
    machine_bytes_per_second = machine.bytesPerSecond
    machine_operations_per_second = machine.operationsPerSecond
    weight_bytes_per_token = facts.weightBytesPerToken
    if let decode, let bytes = facts.weightBytesPerToken {
      weight_bytes_per_second = decode.tokens_per_second * Double(bytes)
      share_of_bandwidth = weight_bytes_per_second.flatMap { BenchReport.share($0, machine.bytesPerSecond) }
    }
    if let prefill, let active = facts.activeParametersInLayers {
      // A multiplication and an addition for each weight in use; the head sees the last token alone. Attention's own
      // products with the cache are not counted.
      operations_per_second = prefill.tokens_per_second * Double(active) * 2
      share_of_arithmetic = operations_per_second.flatMap { BenchReport.share($0, machine.operationsPerSecond) }
    }
  }

  private static func share(_ value: Double, _ most: Double) -> Double? { most > 0 ? value / most : nil }

  var text: String {
    var table = Table()
    table.add("model", model)
    table.add("threads", threads.map { "\($0)" })
    table.add("instruction set", instruction_set)
    table.add("prefill", prefill.map { rate($0) })
    table.add(
      "  arithmetic",
      operations_per_second.map {
        limit(
          Units.operationsPerSecond($0), share_of_arithmetic, Units.operationsPerSecond(machine_operations_per_second))
      })
    table.add("decode", decode.map { rate($0) })
    table.add("  weights read", weight_bytes_per_token.map { "\(Units.bytes($0)) a token" })
    table.add(
      "  bandwidth",
      weight_bytes_per_second.map {
        limit(Units.bytesPerSecond($0), share_of_bandwidth, Units.bytesPerSecond(machine_bytes_per_second))
      })
    return table.text
  }

  private func rate(_ phase: Phase) -> String {
    let all = phase.all_tokens_per_second
    return
      "\(Units.decimal(phase.tokens_per_second, digits: 1)) tokens/s (\(phase.tokens) tokens at depth \(phase.depth); "
      + "\(Units.decimal(all.min() ?? 0, digits: 1)) to \(Units.decimal(all.max() ?? 0, digits: 1)))"
  }

  private func limit(_ value: String, _ share: Double?, _ most: String) -> String {
    share.map { "\(value), \(Units.percent($0)) of this machine's \(most)" } ?? value
  }
}
