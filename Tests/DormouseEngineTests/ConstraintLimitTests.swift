import DormouseEngine
import DormouseSupport
import Glibc
import Testing

/// `time_limit` and cancelling hold while the constraint of an answer is made, and while it rules out tokens.
@Suite struct ConstraintLimitTests {
  /// Seconds of work, and then refused.
  private static let hostile: JSON = [
    "json_schema": [
      "type": "string",
      "allOf": .array((0..<20).map { ["pattern": .string("(a|b)*\(["a", "b"][$0 % 2])(a|b){\($0 + 5)}$")] }),
    ]
  ]

  private func session() throws -> Session {
    var options = SessionOptions()
    options.contextLength = 1024
    return try Session(engine: try ShippedCopy().engine(), options: options)
  }

  private func run(_ session: Session, isChat: Bool, _ config: JSON) throws {
    if isChat {
      _ = try ShippedCopy.answer(session, "What is 7 plus 5?", config.text())
    } else {
      _ = try session.generate([5, 6], configuration: config.text()) { _ in 0 }
    }
  }

  @Test(arguments: [true, false]) func theTimeLimitHolds(isChat: Bool) throws {
    let session = try session()
    // The tokens are made ready for constraints once.
    try run(session, isChat: isChat, ["constraint": ["choice": ["a"]], "max_tokens": 1])
    let length = try session.length()
    let start = Clock.now()
    let status = Runs.status {
      try run(session, isChat: isChat, ["constraint": Self.hostile, "time_limit": 0.05])
    }
    #expect(status == .timedOut)
    #expect(Clock.now() - start < 0.5)
    #expect(try session.length() == length)
  }

  @Test(arguments: [true, false]) func cancellingEndsIt(isChat: Bool) throws {
    let session = try session()
    let isDone = Locked(false)
    let threads = Threads()
    try threads.start {
      while !isDone.withLock({ $0 }) {
        session.cancel()
        usleep(1000)
      }
    }
    let status = Runs.status { try run(session, isChat: isChat, ["constraint": Self.hostile]) }
    isDone.withLock { $0 = true }
    threads.join()
    #expect(status == .cancelled)
    #expect(try session.length() == 0)
  }

  /// Each token has more readings than the one before: masks take longer and longer, and the answer ends in time, with what
  /// it has.
  @Test func theTimeLimitHoldsBetweenTokens() throws {
    let session = try session()
    let start = Clock.now()
    let answer = try ShippedCopy.answer(
      session, "a", #"{"constraint": {"grammar": "root ::= root root root | [a-z ] | \"\""}, "time_limit": 0.5}"#)
    #expect(answer.end?.finishReason == .time)
    #expect(!answer.tokens.isEmpty && Clock.now() - start < 2)
  }
}
