import DormouseSupport
import Testing

@testable import DormouseEngine

/// What engine and events count, over random calls, against books that are kept beside them.
@Suite struct AccountingTests {
  /// One thread: the books are right after every call, also where contexts slide.
  @Test(arguments: [nil, 0, 7], [false, true]) func everyCallIsCounted(_ keeping: Int?, _ isPrivate: Bool) throws {
    let engine = try Runs.engine()
    var books = try Books(engine, keeping: keeping, isPrivate: isPrivate, isAlone: true, seed: 5)
    for step in 0..<120 {
      try books.operate()
      let found = try Counts(engine.statistics())
      guard found == books.counts else {
        Issue.record("step \(step), \(books.lastCall): \(found) for \(books.counts)")
        return
      }
    }
    #expect(try engine.statistics()["steps"]?["mean_batch"]?.doubleValue == 1)
  }

  /// Many threads: all books together. Steps may have any number of sessions, but none has a token more or less.
  @Test func sessionsSideBySideAddUp() throws {
    let engine = try Runs.engine {
      $0.batchLimit = 3
      $0.promptTokensPerStep = 13
    }
    let (threads, total) = (Threads(), Locked(Counts()))
    for thread in 0..<5 {
      try threads.start {
        var books = try Books(engine, isPrivate: thread % 2 == 0, isAlone: false, seed: UInt64(thread))
        for _ in 0..<40 { try books.operate() }
        total.withLock { $0 += books.counts }
      }
    }
    threads.join()
    var found = try Counts(engine.statistics())
    let wanted = total.withLock { $0 }
    // A prompt may be read in several steps, and a step may be that of several sessions.
    found.steps = wanted.steps
    #expect(found == wanted)
    let statistics = try engine.statistics()
    #expect(statistics["sessions"]?["working"]?.integerValue == 0)
    #expect(statistics["steps"]?["largest_batch"]?.integerValue ?? 0 <= 3)
  }
}

extension AccountingTests {
  /// Every member about pages and memory tells its own number.
  @Test func pagesAreTold() throws {
    let engine = try Runs.engine()
    func cache() throws -> [String: Double] {
      let members = try #require(try engine.statistics()["cache"]?["f32"]?.objectValue)
      return Dictionary(members.map { ($0.key, $0.value.doubleValue ?? .nan) }) { first, _ in first }
    }
    var session: Session? = try Runs.session(engine) { $0.isPrivate = true }
    let pageByteCount = try #require(try cache()["page_bytes"])
    try session?.prefill(Runs.tokens(200, seed: 1))
    var fork = try session?.fork()
    try fork?.prefill([1])
    // Four pages and the copy of the last one.
    let held: [String: Double] = [
      "page_tokens": 64, "page_bytes": pageByteCount, "used": 5, "shared": 3, "free": 0, "prefix_pages": 0,
      "prefix_evicted": 0, "tokens_asked": 0, "tokens_found": 0, "hit_rate": 0,
    ]
    #expect(try cache() == held)
    (session, fork) = (nil, nil)
    #expect(try cache() == held.merging(["used": 0, "shared": 0, "free": 5]) { $1 })
    let memory = try #require(try engine.statistics()["memory"])
    let budget = engine.memoryBudget
    #expect(memory["used"]?.integerValue == Int64(budget.usedByteCount))
    #expect(memory["peak"]?.integerValue == Int64(budget.peakByteCount) && budget.peakByteCount > budget.usedByteCount)
  }

  /// So do those about what is kept for later sessions.
  @Test func prefixesAreTold() throws {
    let pageByteCount = try #require(
      try {
        let engine = try Runs.engine()
        _ = try Runs.session(engine)
        return try engine.statistics()["cache"]?["f32"]?["page_bytes"]?.integerValue
      }())
    let engine = try Runs.engine { $0.prefixCacheLimit = UInt64(2 * pageByteCount) }
    for seed in 1...3 { try Runs.session(engine).prefill(Runs.tokens(150, seed: seed)) }
    let cache = try #require(try engine.statistics()["cache"]?["f32"])
    // Two pages of each and a third that is not full; what does not fit goes.
    #expect(cache["prefix_pages"]?.integerValue == 2 && cache["used"]?.integerValue == 2)
    #expect(cache["prefix_evicted"]?.integerValue == 7)
    #expect(cache["tokens_asked"]?.integerValue == 3 * 149 && cache["tokens_found"]?.integerValue == 0)
  }
}

/// What the engine counts of whole calls.
private struct Counts: Equatable {
  var entered = 0
  var left = 0
  var refused = 0
  var cancelled = 0
  var failed = 0
  var steps = 0
  var prompt = 0
  var generated = 0

  init() {}

  init(_ statistics: JSON) {
    func count(_ group: String, _ member: String) -> Int { Int(statistics[group]?[member]?.integerValue ?? -1) }
    entered = count("sessions", "entered")
    left = count("sessions", "left")
    refused = count("sessions", "refused")
    cancelled = count("sessions", "cancelled")
    failed = count("sessions", "failed")
    steps = count("steps", "count")
    prompt = count("tokens", "prompt")
    generated = count("tokens", "generated")
  }

  static func += (sum: inout Counts, other: Counts) {
    for member in [
      \Counts.entered, \.left, \.refused, \.cancelled, \.failed, \.steps, \.prompt, \.generated,
    ] { sum[keyPath: member] += other[keyPath: member] }
  }
}

/// One thread's sessions, and what their calls should have cost.
private struct Books {
  private struct Entry {
    let session: Session
    /// Tokens that it holds, and of these those that are evaluated.
    var held = 0
    var evaluated = 0
    var hasLogits = false
  }

  private let engine: Engine
  private let keeping: Int?
  private let isPrivate: Bool
  /// Whether prompts are read in one step each: else nobody stops in their midst, where books can't follow.
  private let isAlone: Bool
  private var random: Random
  private var entries: [Entry] = []
  private(set) var counts = Counts()
  private(set) var lastCall = ""

  private static let context = 100

  init(_ engine: Engine, keeping: Int? = nil, isPrivate: Bool, isAlone: Bool, seed: UInt64) throws {
    self.engine = engine
    self.keeping = keeping
    self.isPrivate = isPrivate
    self.isAlone = isAlone
    random = Random(state: seed)
    try open()
  }

  mutating func operate() throws {
    let index = Int.random(in: entries.indices, using: &random)
    switch random.next() % 8 {
    case 0 where entries.count < 3: try open()
    case 1 where entries.count > 1: entries.remove(at: index)
    case 2 where entries.count < 3:
      lastCall = "fork"
      let entry = entries[index]
      entries.append(
        Entry(
          session: try entry.session.fork(), held: entry.held, evaluated: entry.evaluated, hasLogits: entry.hasLogits))
    default:
      var entry = entries[index]
      switch random.next() % 6 {
      case 0: try truncate(&entry)
      case 1 where entry.held > 0: try look(&entry)
      default: try generate(&entry)
      }
      entries[index] = entry
    }
  }

  private mutating func open() throws {
    lastCall = "open"
    let session = try Runs.session(engine) { [keeping, isPrivate] in
      $0.contextLength = Self.context
      $0.isPrivate = isPrivate
      if let keeping { $0.overflow = .slide(keeping: keeping) }
    }
    entries.append(Entry(session: session))
  }

  private mutating func truncate(_ entry: inout Entry) throws {
    let length = Int.random(in: 0...entry.held, using: &random)
    lastCall = "truncate to \(length)"
    try entry.session.truncate(to: length)
    guard length < entry.held else { return }
    (entry.held, entry.evaluated, entry.hasLogits) = (length, min(entry.evaluated, length), false)
  }

  /// Asks for logits, which are computed where they are not at hand.
  private mutating func look(_ entry: inout Entry) throws {
    lastCall = "logits"
    var logits = [Float](repeating: 0, count: Runs.vocabularySize)
    try logits.withUnsafeMutableBufferPointer { try entry.session.copyLogits(to: $0) }
    guard !entry.hasLogits else { return }
    counts.entered += 1
    counts.left += 1
    evaluatePrompt(&entry, shared: 0)
  }

  private enum Ending: Equatable {
    case byItself
    /// The callback's answer, or a cancel in it, at some token or, for 0, at the prompt.
    case stopped(Int)
    case cancelled(Int)
  }

  private mutating func generate(_ entry: inout Entry) throws {
    let most = entry.held == 0 ? 1...60 : 0...60
    let count = Int.random(in: most, using: &random)
    let tokens = Runs.tokens(count, seed: Int(random.next() % 3))
    let wanted = Int.random(in: 1...6, using: &random)
    let place = Int.random(in: isAlone ? 0...wanted : 1...wanted, using: &random)
    let ending = [.byItself, .byItself, Ending.stopped(place), .cancelled(place)].randomElement(using: &random)
    lastCall = "generate \(count) and \(wanted), \(ending ?? .byItself)"
    if keeping == nil, entry.held + count > Self.context {
      let status = Runs.status { _ = try entry.session.generate(tokens, configuration: nil) { _ in 0 } }
      #expect(status == .contextFull)
      return
    }
    let session = entry.session
    var last = GenerationEvent.Counts()
    var told = 0
    let status = Runs.status {
      let configuration = #"{"max_tokens": \#(wanted), "ignore_eos": true}"#
      _ = try session.generate(tokens, configuration: configuration) { event in
        last = event.counts
        guard event.kind != .end else { return 0 }
        told = event.kind == .token ? event.counts.generatedTokens : 0
        if ending == .cancelled(told) { session.cancel() }
        return ending == .stopped(told) ? 3 : 0
      }
    }
    #expect(last.promptTokens == count && last.promptReused == 0)
    counts.entered += 1
    counts.left += 1
    slide(&entry, for: count)
    entry.held += count
    if count > 0 { entry.hasLogits = false }
    try follow(&entry, wanted, ending ?? .byItself, last, status)
  }

  /// What such a call does, step by step.
  private mutating func follow(
    _ entry: inout Entry, _ wanted: Int, _ ending: Ending, _ last: GenerationEvent.Counts, _ status: Status?
  ) throws {
    let hadLogits = entry.hasLogits
    if !hadLogits { evaluatePrompt(&entry, shared: last.promptShared) }
    // Whoever has the logits hears of no prompt.
    if !hadLogits, ending == .stopped(0) {
      #expect(status == nil && last.generatedTokens == 0)
      return
    }
    var generated = 0
    while !(keeping == nil && entry.held == Self.context) {
      generated += 1
      slide(&entry, for: 1)
      entry.held += 1
      entry.hasLogits = false
      if generated == wanted || ending == .stopped(generated) || (keeping == nil && entry.held == Self.context) {
        break
      }
      // The wish to cancel is seen by the next step; at the prompt that is the one behind the first token.
      if ending == .cancelled(generated) || (ending == .cancelled(0) && !hadLogits) {
        #expect(status == .cancelled && last.generatedTokens == generated)
        entry.held = entry.evaluated
        return
      }
      let missing = entry.held - entry.evaluated
      if missing == 1 { counts.generated += 1 } else { counts.prompt += missing }
      counts.steps += 1
      (entry.evaluated, entry.hasLogits) = (entry.held, true)
    }
    #expect(status == nil && last.generatedTokens == generated && last.promptDone == last.promptTokens)
    #expect(try entry.session.length() == entry.held)
  }

  private mutating func evaluatePrompt(_ entry: inout Entry, shared: Int) {
    entry.evaluated = min(entry.evaluated, entry.held - 1)
    counts.prompt += entry.held - entry.evaluated - shared
    counts.steps += 1
    (entry.evaluated, entry.hasLogits) = (entry.held, true)
  }

  private func slide(_ entry: inout Entry, for count: Int) {
    guard let keeping, entry.held + count > Self.context else { return }
    let first = min(keeping, entry.held)
    let missing = entry.held + count - Self.context
    entry.held -= min(max(missing, (Self.context - first) / 2), entry.held - first)
    (entry.evaluated, entry.hasLogits) = (min(entry.evaluated, first), false)
  }
}
