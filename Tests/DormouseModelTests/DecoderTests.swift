import DormouseKernels
import DormouseModel
import DormouseSupport
import Testing

@Suite struct DecoderTests {
  static let name = "good-v3-group8"

  static func timeline(context: Int = 64, chunk: Int = 16) throws -> Timeline {
    try Timeline(
      model: Fixtures.open(name), options: DecoderOptions(contextLength: context, chunk: chunk))
  }

  @Test func refusesMoreTokensThanFit() throws {
    let timeline = try Self.timeline(context: 8)
    try timeline.forward([1, 2, 3, 4, 5, 6], logits: .none)
    #expect { try timeline.forward([7, 8, 9], logits: .last) } throws: {
      ($0 as? Failure)?.status == .contextFull && "\($0)".contains("holds 6 of 8")
    }
    #expect(timeline.position == 6)
    try timeline.forward([7, 8], logits: .last)
    #expect(timeline.position == 8)
  }

  @Test(arguments: [[], [-1], [97], [1, 2, Int32.max]])
  func refusesTokensOutsideTheVocabulary(_ tokens: [Int32]) throws {
    let timeline = try Self.timeline()
    #expect { try timeline.forward(tokens, logits: .last) } throws: { ($0 as? Failure)?.status == .invalidArgument }
    #expect(timeline.position == 0)
  }

  @Test func refusesSmallBuffers() throws {
    let timeline = try Self.timeline()
    var logits = [Float](repeating: 0, count: 2 * 97 - 1)
    _ = logits.withUnsafeMutableBufferPointer { buffer in
      #expect { try timeline.forward([1, 2], logits: .all(into: buffer)) } throws: {
        ($0 as? Failure)?.status == .invalidArgument
      }
    }
  }

  @Test(arguments: [0, -1, 4096])
  func refusesContextsOutOfRange(_ length: Int) throws {
    #expect { try Self.timeline(context: length) } throws: { "\($0)".contains("max_position_embeddings") }
  }

  /// Every cancel point: the timeline stays where it was, and the next call gives the right answer.
  @Test func cancellingLeavesTheTimeline() throws {
    let timeline = try Self.timeline(chunk: 4)
    let prompt: [Int32] = [5, 9, 2, 44, 17, 3, 8, 61, 90, 33]
    try timeline.forward(prompt, logits: .last)
    let expected = Array(timeline.logits)
    try timeline.truncate(to: 0)
    try timeline.forward(Array(prompt[..<3]), logits: .none)
    var asked = 0
    for stop in 0..<8 {
      asked = 0
      #expect {
        try timeline.forward(
          Array(prompt[3...]), logits: .last,
          isCancelled: {
            asked += 1
            return asked > stop
          })
      } throws: {
        ($0 as? Failure)?.status == .cancelled
      }
      #expect(asked == stop + 1)
      #expect(timeline.position == 3)
    }
    try timeline.forward(Array(prompt[3...]), logits: .last)
    #expect(relativeError(timeline.logits, expected) <= 1e-5)
  }

  @Test func truncatingForgets() throws {
    let timeline = try Self.timeline()
    try timeline.forward([1, 2, 3, 4], logits: .last)
    let expected = Array(timeline.logits)
    try timeline.forward([50, 60, 70], logits: .none)
    try timeline.truncate(to: 3)
    try timeline.forward([4], logits: .last)
    #expect(relativeError(timeline.logits, expected) <= 1e-5)
    #expect { try timeline.truncate(to: 5) } throws: { ($0 as? Failure)?.status == .invalidArgument }
  }

  /// The plan that was made from headers is what a model and its timeline take.
  @Test(arguments: Fixtures.goodModels)
  func planIsKept(_ name: String) throws {
    let folder = try ModelFolder(Fixtures.path("models/\(name)"))
    let c = folder.configuration
    for type in CacheRowType.allCases {
      let options = DecoderOptions(contextLength: 100, cacheType: type, chunk: 32)
      let plan = try folder.plan(options, threadCount: 2, kernels: Kernels.selected())
      let timeline = try Timeline(model: Fixtures.open(name, threads: 2), options: options)
      // Two pages of 64 tokens.
      #expect(try plan.cacheByteCount == 128 * c.pageLayout(type).positionByteCount)
      #expect(timeline.cache.byteCount == 0)
      try timeline.cache.reserve(100)
      #expect(timeline.cache.byteCount == plan.cacheByteCount)
      #expect(timeline.decoder.byteCount == plan.scratchByteCount)
      #expect(timeline.model.floatByteCount == plan.floatByteCount)
      #expect(timeline.model.weightByteCount == plan.weightByteCount)
      #expect(folder.byteCountByType.reduce(0) { $0 + $1.byteCount } == plan.weightByteCount)
    }
  }

  @Test func leftoversAreLogged() throws {
    let lines = Lines()
    try ModelFolder(Fixtures.path("models/good-v3-bf16-mtp")).reportLeftovers(to: lines.log)
    #expect(lines.all.count == 1)
    #expect(lines.all.first?.contains("multi-token prediction layers are not used") == true)
    let quiet = Lines()
    try ModelFolder(Fixtures.path("models/good-v2-f16-tied")).reportLeftovers(to: quiet.log)
    #expect(quiet.all.isEmpty)
  }
}

/// Log lines of a test.
final class Lines: @unchecked Sendable {
  private(set) var all: [String] = []
  var log: Log { Log { level, line in self.all.append("\(level): \(line)") } }
}
