/// The result of `bench`: rates, and the limits they are held against. Members are those of the JSON document.
struct BenchReport: Encodable {
  struct Phase: Encodable {
    var tokens: Int
    var depth: Int
    var tokens_per_second: Double
    var all_tokens_per_second: [Double]

    init?(tokens: Int, depth: Int, seconds: [Double]) {
      all_tokens_per_second = seconds.map { Double(tokens) / $0 }
      guard let median = BenchReport.median(all_tokens_per_second) else { return nil }
      self.tokens = tokens
      self.depth = depth
      tokens_per_second = median
    }
  }

  /// Sessions that generate at the same time.
  struct Sessions: Encodable {
    var count: Int
    /// Of all together: the median of the repetitions.
    var tokens_per_second: Double
    var all_tokens_per_second: [Double]
    /// The median of all sessions in all repetitions, and the slowest of them.
    var session_tokens_per_second: Double
    var slowest_session_tokens_per_second: Double
    /// All together beside one alone in the same repetition: the median.
    var ratio: Double
    var all_ratios: [Double]

    init?(count: Int, tokens: Int, _ concurrent: [ConcurrentSessions.Measurement], one: [Double]) {
      self.count = count
      all_tokens_per_second = concurrent.map { Double(count * tokens) / $0.all }
      all_ratios = zip(all_tokens_per_second, one).map { $0 / (Double(tokens) / $1) }
      let each = concurrent.flatMap { $0.each.map { Double(tokens) / $0 } }
      guard
        let median = BenchReport.median(all_tokens_per_second), let session = BenchReport.median(each),
        let slowest = each.min(), let ratio = BenchReport.median(all_ratios)
      else { return nil }
      tokens_per_second = median
      session_tokens_per_second = session
      slowest_session_tokens_per_second = slowest
      self.ratio = ratio
    }
  }

  var model: String
  /// What `--weights` and `--cache` asked for.
  var weights: String
  var cache: String
  var threads: Int?
  var instruction_set: String?
  var load_seconds: Double
  var prefill: Phase?
  var decode: Phase?
  /// With --sessions.
  var sessions: Sessions?
  /// Bytes of the whole context, in pages, of one session.
  var cache_bytes: UInt64?
  var weight_bytes_per_token: UInt64?
  /// Rows of the cache that a token of the generation's middle reads.
  var cache_bytes_per_token: UInt64?
  var weight_bytes_per_second: Double?
  /// With the cache's rows.
  var bytes_per_second: Double?
  var machine_bytes_per_second: Double
  var all_machine_bytes_per_second: [Double]
  /// Of the weights alone.
  var share_of_bandwidth: Double?
  var operations_per_second: Double?
  var machine_operations_per_second: Double
  var all_machine_operations_per_second: [Double]
  var share_of_arithmetic: Double?

  init(
    command: BenchCommand, facts: ModelFacts, loadSeconds: Double, cacheBytes: UInt64?,
    measurements: Benchmark.Measurements
  ) {
    model = command.model.model
    weights = (command.model.weights ?? .native).rawValue
    cache = command.model.cache?.rawValue ?? facts.cacheType ?? ""
    threads = facts.threads
    instruction_set = facts.instructionSet
    load_seconds = loadSeconds
    prefill = Phase(tokens: command.prompt, depth: command.depth, seconds: measurements.prefill)
    decode = Phase(tokens: command.gen, depth: command.depth + command.prompt, seconds: measurements.decode)
    sessions = Sessions(
      count: command.sessions, tokens: command.gen, measurements.concurrent, one: measurements.decode)
    cache_bytes = cacheBytes
    weight_bytes_per_token = facts.weightBytesPerToken
    all_machine_bytes_per_second = measurements.machine.map(\.bytesPerSecond)
    all_machine_operations_per_second = measurements.machine.map(\.operationsPerSecond)
    machine_bytes_per_second = BenchReport.median(all_machine_bytes_per_second) ?? 0
    machine_operations_per_second = BenchReport.median(all_machine_operations_per_second) ?? 0
    addReading(cacheRowBytes: facts.cacheBytesPerToken?[cache]?.integer)
    addArithmetic(facts)
  }

  /// What decoding reads a second.
  private mutating func addReading(cacheRowBytes: UInt64?) {
    guard let decode, let weightBytes = weight_bytes_per_token else { return }
    let weightRate = decode.tokens_per_second * Double(weightBytes)
    weight_bytes_per_second = weightRate
    share_of_bandwidth = BenchReport.share(weightRate, machine_bytes_per_second)
    guard let cacheRowBytes else { return }
    let cacheBytes = Double(cacheRowBytes) * Double(decode.depth + decode.tokens / 2)
    cache_bytes_per_token = UInt64(cacheBytes)
    bytes_per_second = decode.tokens_per_second * (Double(weightBytes) + cacheBytes)
  }

  /// What prefill computes a second: a multiplication and an addition for each weight in use; the head sees the last
  /// token alone. Attention's own products with the cache are not counted.
  private mutating func addArithmetic(_ facts: ModelFacts) {
    guard let prefill, let active = facts.activeParametersInLayers else { return }
    let rate = prefill.tokens_per_second * Double(active) * 2
    operations_per_second = rate
    share_of_arithmetic = BenchReport.share(rate, machine_operations_per_second)
  }

  private static func share(_ value: Double, _ most: Double) -> Double? { most > 0 ? value / most : nil }

  /// Nil for no values.
  private static func median(_ values: [Double]) -> Double? {
    let sorted = values.sorted()
    let middle = sorted.count / 2
    guard !sorted.isEmpty else { return nil }
    return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
  }
}

extension BenchReport {
  /// For people.
  var text: String {
    var table = Table()
    table.add("model", model)
    table.add("weights", "\(weights), loaded in \(Units.decimal(load_seconds, digits: 2)) s")
    table.add("cache", cache_bytes.map { "\(cache), \(Units.bytes($0)) in all" })
    table.add("threads", threads.map { "\($0)" })
    table.add("instruction set", instruction_set)
    table.add("prefill", prefill.map { rate($0) })
    table.add("  arithmetic", arithmetic)
    table.add("decode", decode.map { rate($0) })
    table.add("  reads", decode == nil ? nil : bytesPerToken)
    table.add("  bandwidth", bandwidth)
    table.add("sessions", sessions.map { text(of: $0) })
    return table.text
  }

  /// The median, and every repetition while they are few.
  private func rate(_ phase: Phase) -> String {
    let all = phase.all_tokens_per_second
    let each =
      all.count <= 8
      ? all.map { Units.decimal($0, digits: 1) }.joined(separator: ", ") : range(all) { Units.decimal($0, digits: 1) }
    return "\(Units.decimal(phase.tokens_per_second, digits: 1)) tokens/s "
      + "(\(phase.tokens) tokens at depth \(phase.depth): \(each))"
  }

  private func text(of sessions: Sessions) -> String {
    let all = sessions.all_tokens_per_second
    return "\(Units.decimal(sessions.tokens_per_second, digits: 1)) tokens/s of \(sessions.count) at the same time"
      + " (\(range(all) { Units.decimal($0, digits: 1) })), "
      + "\(Units.decimal(sessions.ratio, digits: 2)) times those of one\n"
      + "\(Units.decimal(sessions.session_tokens_per_second, digits: 1)) tokens/s each, "
      + "\(Units.decimal(sessions.slowest_session_tokens_per_second, digits: 1)) the slowest"
  }

  private var bytesPerToken: String? {
    weight_bytes_per_token.map { weightBytes in
      "\(Units.bytes(weightBytes)) of weights a token"
        + (cache_bytes_per_token.map { ", \(Units.bytes($0)) of the cache" } ?? "")
    }
  }

  private var arithmetic: String? {
    guard let operations_per_second, let share_of_arithmetic else { return nil }
    return limit(
      operations_per_second, share_of_arithmetic, machine_operations_per_second, all_machine_operations_per_second,
      Units.operationsPerSecond)
  }

  private var bandwidth: String? {
    guard let weight_bytes_per_second, let share_of_bandwidth else { return nil }
    let weights = limit(
      weight_bytes_per_second, share_of_bandwidth, machine_bytes_per_second, all_machine_bytes_per_second,
      Units.bytesPerSecond)
    let whole = bytes_per_second.flatMap { BenchReport.share($0, machine_bytes_per_second) }
    return weights + (whole.map { "; \(Units.percent($0)) with the cache" } ?? "")
  }

  private func limit(
    _ value: Double, _ share: Double, _ most: Double, _ all: [Double], _ name: (Double) -> String
  ) -> String {
    "\(name(value)), \(Units.percent(share)) of this machine's \(name(most)) (\(range(all, name)))"
  }

  private func range(_ values: [Double], _ name: (Double) -> String) -> String {
    "\(name(values.min() ?? 0)) to \(name(values.max() ?? 0))"
  }
}
