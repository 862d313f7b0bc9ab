import ArgumentParser
import DormouseClient

struct BenchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench",
    abstract: "Measures prefill and decode beside the machine's own limits.",
    discussion: """
      Each repetition starts with --depth tokens in the session (not timed), times --prompt tokens at once, then --gen \
      tokens one by one; a few tokens before the first one warm up. Token ids are pseudo-random; no tokenizer is \
      needed. The machine's limits are measured before every repetition and after the last. Medians count. With \
      --sessions, each repetition then lets as many sessions generate at the same time, from a thread each.
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

  @Option(help: ArgumentHelp("Sessions that generate at the same time, beside one alone.", valueName: "n"))
  var sessions = 1

  func validate() throws {
    let most = 1 << 24
    for (name, value) in [("--prompt", prompt), ("--gen", gen), ("--depth", depth)] where !(0...most).contains(value) {
      throw ValidationError("\(name) must be 0 to \(most).")
    }
    if prompt == 0, gen == 0 { throw ValidationError("with --prompt 0 and --gen 0 there is nothing to measure.") }
    if !(1...1024).contains(sessions) { throw ValidationError("--sessions must be 1 to 1024.") }
    if sessions > 1, gen == 0 { throw ValidationError("--sessions needs tokens to generate: --gen must be above 0.") }
    if !(1...1000).contains(reps) { throw ValidationError("--reps must be 1 to 1000.") }
  }

  func run() throws {
    let start = Clock.seconds()
    let engine = try model.open(batchLimit: UInt32(max(sessions, 16)))
    let loadSeconds = Clock.seconds() - start
    let facts = try ModelFacts(engine)
    let settings = settings
    let plan = try engine.plan(settings)
    let session = try OpenSession(engine, settings)
    let concurrent = try ConcurrentSessions(engine, settings, count: sessions > 1 ? sessions : 0)
    let measurements = try Interrupt.shared.whileCancelling([session] + concurrent.sessions) {
      try Benchmark(session: session, concurrent: concurrent, vocabularySize: facts.vocabularySize, bench: self).run()
    }
    let report = BenchReport(
      command: self, facts: facts, loadSeconds: loadSeconds, cacheBytes: plan["cache"]?.integer,
      measurements: measurements)
    try Console.write(line: output.json ? JSONDocument.line(report) : report.text)
  }

  /// Private sessions: a repetition must not find what the one before it has computed.
  private var settings: OpenSession.Options {
    var settings = model.session
    settings.isPrivate = true
    // One token starts a generation without a prompt, one more lies between the first and the last that are timed.
    if model.context == nil { settings.contextLength = UInt32(clamping: depth + prompt + gen + 2) }
    return settings
  }
}
