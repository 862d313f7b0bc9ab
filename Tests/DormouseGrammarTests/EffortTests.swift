import DormouseSupport
import Glibc
import Testing

@testable import DormouseGrammar

/// What is hostile ends: soon where its caller does not want it any more, and within a bound where nobody says so.
@Suite struct EffortTests {
  private static func chain(_ count: Int, _ rule: (Int) -> String, last: String) -> String {
    (0..<count).map(rule).joined(separator: "\n") + "\n" + last
  }

  private static func config(_ kind: String, _ value: JSON) -> JSONObject { JSONObject([kind: value]) }

  /// By name: what takes seconds, or for ever, in one place or another.
  private static let hostile: [(name: String, config: JSONObject)] = [
    (
      "patterns at once",
      config(
        "json_schema",
        [
          "type": "string",
          "allOf": .array(
            (0..<20).map { ["pattern": .string("(a|b)*\(["a", "b"][$0 % 2])(a|b){\($0 + 5)}$")] }),
        ])
    ),
    ("a grammar of many ways", config("grammar", .string(alternatives(30_000)))),
    (
      "a chain of rules",
      config(
        "grammar",
        .string(
          "root ::= r0\n" + chain(30_000, { "r\($0) ::= \"a\" r\($0 + 1) | r\($0 + 1) root" }, last: "r30000 ::= \"b\"")
        ))
    ),
    ("a text of many readings", config("grammar", "root ::= root root root | \"a\" | \"\"")),
    ("a pattern with many states", config("regex", "(a|b)*a(a|b){60}c")),
    ("repetitions within one another", config("regex", "((((a|b){0,100}c?){0,100}a?){0,100}b?){0,100}")),
  ]

  private static func alternatives(_ count: Int) -> String {
    "root ::= " + (0..<count).map { "a\($0)" }.joined(separator: "|") + "\n"
      + chain(count, { "a\($0) ::= \"a\"" + ($0 > 0 ? " root" : "") }, last: "end ::= \"\"")
  }

  private static let tokens: [[UInt8]] = [[0x61], [0x62], [0x61, 0x61], [0x22, 0x61], Array("abababab".utf8)]

  /// Makes the constraint, and goes on by tokens that it allows.
  private func use(_ config: JSONObject, _ effort: Effort) throws {
    let fields = try JSONFields(.object(config), file: "config_json", path: "", status: .invalidArgument)
    let constraint = try Constraint(
      fields, vocabulary: try GrammarVocabulary(Self.tokens), endTokens: [], effort: effort)
    for step in 0..<300 {
      let allowed = try constraint.allowed()
      let order = (0..<Self.tokens.count).map { Int32(($0 + step) % Self.tokens.count) }
      guard let token = order.first(where: { allowed.contains($0) }) else { return }
      try constraint.accept([token])
    }
  }

  @Test(arguments: hostile.indices) func endsOnceItIsNotWanted(_ index: Int) throws {
    let (name, config) = Self.hostile[index]
    let deadline = Clock.now() + 0.05
    let effort = Effort(
      Effort.Limits(),
      Interruption { Clock.now() < deadline ? nil : Failure(.timedOut, "time_limit passed") })
    do { try use(config, effort) } catch {
      #expect([.timedOut, .unsupported].contains((error as? Failure)?.status), "\(name): \(error)")
    }
    // Much of it on a machine that others use.
    #expect(Clock.now() - deadline < 0.5, "\(name): \(Clock.now() - deadline) s")
  }

  @Test(arguments: hostile.indices) func endsByItself(_ index: Int) throws {
    let (name, config) = Self.hostile[index]
    let limits = Effort.Limits(nodes: 1 << 16, states: 1 << 12, derivatives: 1 << 16, steps: 1 << 20, items: 1 << 16)
    let start = Clock.now()
    do { try use(config, Effort(limits)) } catch {
      #expect((error as? Failure)?.status == .unsupported, "\(name): \(error)")
    }
    #expect(Clock.now() - start < 5, "\(name): \(Clock.now() - start) s")
  }

  /// A cancel from another thread ends what has no limit of time.
  @Test func endsWhereAnotherThreadSaysSo() throws {
    let isCancelled = Locked(false)
    let effort = Effort(
      Effort.Limits(derivatives: .max / 64, steps: .max / 2),
      Interruption { isCancelled.withLock { $0 } ? Failure(.cancelled, "cancelled") : nil })
    let thread = try BackgroundThread(name: "cancel") {
      usleep(20_000)
      isCancelled.withLock { $0 = true }
    }
    let failure = #expect(throws: Failure.self) { try use(Self.hostile[0].config, effort) }
    thread.join()
    #expect(failure?.status == .cancelled)
  }

  /// What is found after the work was stopped is wrong, and nobody gets to see it: neither the caller nor, by the masks that
  /// a vocabulary keeps, another constraint.
  @Test func nothingWrongIsKept() throws {
    let tokens: [[UInt8]] = (0..<4000).map { Array("a\($0)".utf8) } + [Array("\"".utf8)]
    let vocabulary = try GrammarVocabulary(tokens)
    let fields = try JSONFields(
      .object(Self.config("json_schema", ["type": "string"])), file: "", path: "", status: .invalidArgument)
    for limit in stride(from: 0, to: 6000, by: 250) {
      let effort = Effort(Effort.Limits(steps: limit))
      guard let constraint = try? Constraint(fields, vocabulary: vocabulary, endTokens: [], effort: effort) else {
        continue
      }
      _ = try? constraint.accept([4000])
      _ = try? constraint.allowed()
    }
    let constraint = try Constraint(fields, vocabulary: vocabulary, endTokens: [])
    try constraint.accept([4000])
    let allowed = try constraint.allowed()
    #expect((0..<4001).allSatisfy { allowed.contains(Int32($0)) })
  }
}
