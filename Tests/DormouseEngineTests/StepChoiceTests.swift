import DormouseCache
import DormouseKernels
import DormouseModel
import DormouseSupport
import Testing

@testable import DormouseEngine

/// Whose tokens a step takes, and how many: by priority, then in the order in which sessions have asked, while there is
/// room.
@Suite struct StepChoiceTests {
  /// What a session asks of its next step.
  private struct Asked {
    var count: Int
    var priority = 0
    var isGenerating = false
  }

  /// What may go to another thread, since nobody else touches it meanwhile.
  private struct Moved<Value>: @unchecked Sendable {
    let value: Value
  }

  /// While somebody generates, all prompts of a step together have `prompt_tokens_per_step`.
  @Test func promptsShareTheirRoom() throws {
    #expect(try granted([Asked(count: 5), Asked(count: 8)], besides: true) == [5, 3])
    #expect(try granted([Asked(count: 8), Asked(count: 8)], besides: true) == [8, 8])
    #expect(try granted([Asked(count: 5), Asked(count: 2), Asked(count: 4)], besides: true) == [5, 2, 1])
    #expect(try granted([Asked(count: 9), Asked(count: 20)], besides: false) == [9, 20])
    #expect(try granted([Asked(count: 20), Asked(count: 20)], besides: false) == [20, 12])
  }

  @Test func largerPrioritiesAreServedFirst() throws {
    let three = [Asked(count: 6, priority: -1), Asked(count: 6, priority: 2), Asked(count: 6, priority: 1)]
    #expect(try granted([Asked(count: 5), Asked(count: 8, priority: 1)], besides: true) == [5, 8])
    #expect(try granted(three, besides: true) == [6, 6, 2])
    let larger = three.map { Asked(count: 3 * $0.count, priority: $0.priority) }
    #expect(try granted(larger, besides: false) == [18, 18, 14])
  }

  /// A generating session waits for no prompt, and makes the room of prompts small.
  @Test func whoGeneratesComesFirst() throws {
    let generating = Asked(count: 1, priority: -9, isGenerating: true)
    #expect(try granted([Asked(count: 40, priority: 9), generating], besides: false) == [8, 1])
    #expect(try granted([Asked(count: 40), generating, generating], besides: false, own: 40) == [30, 1, 1])
  }

  /// Tokens that each gets in the first step that takes any of its own, where all have asked, one after the other, before
  /// the first step begins. A step takes 32 tokens at most.
  /// - Parameters:
  ///   - isAnyGenerating: whether one more session is past its prompt, and samples.
  ///   - own: prompt_tokens_per_step.
  private func granted(_ asked: [Asked], besides isAnyGenerating: Bool, own: Int = 8) throws -> [Int] {
    let pool = try ThreadPool(threadCount: 2)
    let model = try Model(
      ModelFolder(Fixtures.path("Fixtures/models/\(Runs.model)")), pool: pool, kernels: Kernels.selected())
    let pages = PagePool(
      layout: try model.configuration.pageLayout(.float32), kernels: model.kernels,
      budget: MemoryBudget(limit: nil, name: "the test's budget"))
    let scheduler = Scheduler(Scheduler.Limits(promptTokensPerStep: own))
    func enter(_ priority: Int) throws -> StepRequest {
      let request = scheduler.makeRequest(CallState(of: "the session"))
      try scheduler.enter(request, WorkTerms(priority: priority)) {}
      return request
    }
    if isAnyGenerating { try enter(0).isGenerating = true }
    let counts = Locked([Int](repeating: 0, count: asked.count))
    let threads = Threads()
    for (index, one) in asked.enumerated() {
      let request = try enter(one.priority)
      let cache = try LatentCache(pool: pages, capacity: 64)
      try cache.reserve(one.count)
      let segment = Moved(
        value: Segment(cache: cache, tokens: Runs.tokens(one.count, seed: index)[...], logits: .none))
      try threads.start {
        let count = try scheduler.step(request, segment.value, isGenerating: one.isGenerating)
        counts.withLock { $0[index] = count }
        scheduler.leave(request)
      }
      while scheduler.monitor.withLock({ request.phase != .pending }) {}
    }
    let thread = try BackgroundThread(name: "steps") {
      scheduler.run { () throws(Failure) in
        try Decoder(model: model, options: DecoderOptions(contextLength: 64, chunk: 32, batch: 16))
      }
    }
    threads.join()
    scheduler.stop()
    thread.join()
    return counts.withLock { $0 }
  }
}
