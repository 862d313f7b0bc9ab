import DormouseCache
import DormouseKernels
import DormouseModel
import DormouseSupport
import Testing

/// Several timelines in one batch: each gets what it gets alone, with packed weights to the bit, else but for the order
/// in which sums are rounded.
@Suite struct BatchTests {
  /// Tokens that a timeline holds, and those that it adds in the batch.
  private static let parts: [(held: Int, added: Int)] = [(0, 1), (5, 1), (66, 1), (130, 1), (0, 9), (64, 17), (3, 2)]
  private static let bound = 1e-5

  private static func tokens(_ count: Int, seed: Int, _ vocabulary: Int) -> [Int32] {
    (0..<count).map { Int32(($0 * 31 + seed * 17 + $0 * $0 * seed) % vocabulary) }
  }

  /// A decoder, and timelines that hold their first tokens.
  private final class Batch {
    let decoder: Decoder
    let pool: PagePool
    private(set) var caches: [LatentCache] = []
    private(set) var logits: [UnsafeMutableBufferPointer<Float>] = []
    private let vocabulary: Int

    init(_ model: Model) throws {
      let c = model.configuration
      vocabulary = c.vocabularySize
      decoder = try Decoder(model: model, options: DecoderOptions(contextLength: 256, chunk: 200, batch: 3))
      pool = PagePool(
        layout: try c.pageLayout(.float32), kernels: model.kernels,
        budget: MemoryBudget(limit: nil, name: "the test's budget"))
      for (index, part) in BatchTests.parts.enumerated() {
        let cache = try LatentCache(pool: pool, capacity: 256)
        let buffer = UnsafeMutableBufferPointer<Float>.allocate(capacity: vocabulary)
        buffer.initialize(repeating: .nan)
        logits.append(buffer)
        caches.append(cache)
        guard part.held > 0 else { continue }
        try run([segment(index, held(index)[...], .none)])
      }
    }

    deinit { for buffer in logits { buffer.deallocate() } }

    func held(_ index: Int) -> [Int32] { Array(all(index).prefix(BatchTests.parts[index].held)) }
    func added(_ index: Int) -> ArraySlice<Int32> { all(index).dropFirst(BatchTests.parts[index].held) }

    private func all(_ index: Int) -> [Int32] {
      BatchTests.tokens(BatchTests.parts[index].held + BatchTests.parts[index].added, seed: index + 1, vocabulary)
    }

    func segment(_ index: Int, _ tokens: ArraySlice<Int32>, _ logits: LogitsRequest) throws -> Segment {
      try caches[index].reserve(tokens.count)
      return Segment(cache: caches[index], tokens: tokens, logits: logits)
    }

    func last(_ index: Int) throws -> Segment { try segment(index, added(index), .last(into: logits[index])) }

    /// Runs a batch and counts what was done.
    func run(_ segments: [Segment], isCancelled: (Int) -> Bool = { _ in false }) throws {
      decoder.forward(ContiguousArray(segments), isCancelled: isCancelled)
      for (segment, outcome) in zip(segments, decoder.outcomes) {
        if case .failed(let failure) = outcome { throw failure }
        if case .done = outcome { try segment.cache.advance(by: segment.tokens.count) }
      }
    }
  }

  private static func expectAlone(_ batch: Batch, _ model: Model, but left: Set<Int> = [], _ what: String) throws {
    let alone = try Batch(model)
    let bound = model.precision == .native ? bound : 0
    for index in parts.indices where !left.contains(index) {
      try alone.run([alone.last(index)])
      let error = relativeError(
        UnsafeBufferPointer(batch.logits[index]), Array(UnsafeBufferPointer(alone.logits[index])))
      #expect(error <= bound, "\(what), timeline \(index): \(error)")
    }
  }

  @Test(arguments: Fixtures.goodModels, WeightPrecision.allCases)
  func timelinesGetWhatTheyGetAlone(_ name: String, _ precision: WeightPrecision) throws {
    let model = try Fixtures.open(name, precision)
    let batch = try Batch(model)
    try batch.run(Self.parts.indices.map { try batch.last($0) })
    #expect(batch.caches.enumerated().allSatisfy { $1.length == Self.parts[$0].held + Self.parts[$0].added })
    try Self.expectAlone(batch, model, "\(name), \(precision)")
  }

  /// Whoever is taken out, and before whichever layer: the others get the same, and its own rows stay as they were.
  @Test(arguments: [Set([0]), [3], [4, 6], [0, 2, 5], [6]])
  func cancelledTimelinesLeaveTheOthersAlone(_ cancelled: Set<Int>) throws {
    let model = try Fixtures.open("good-v3-group8", threads: 2)
    for layer in 0...model.configuration.hiddenLayerCount {
      let batch = try Batch(model)
      var asked = 0
      let order = Array(Self.parts.indices)
      try batch.run(try order.map { try batch.last($0) }) { index in
        defer { asked += 1 }
        return cancelled.contains(index) && asked >= layer * order.count
      }
      for index in order {
        let part = Self.parts[index]
        #expect(batch.caches[index].length == part.held + (cancelled.contains(index) ? 0 : part.added))
      }
      try Self.expectAlone(batch, model, but: cancelled, "before layer \(layer)")
    }
  }

  @Test func badSegmentsFailAlone() throws {
    let model = try Fixtures.open("good-v3-group8", threads: 2)
    let batch = try Batch(model)
    let small = UnsafeMutableBufferPointer(rebasing: batch.logits[1][..<5])
    var segments = try [batch.last(0), batch.last(1), batch.last(2), batch.last(3), batch.last(4)]
    segments[1].logits = .last(into: small)
    segments[2].tokens = [1, -1]
    segments[3].tokens = []
    segments[4].tokens = ArraySlice(repeating: 1, count: 199)
    batch.decoder.forward(ContiguousArray(segments))
    for (index, outcome) in batch.decoder.outcomes.enumerated() {
      switch outcome {
      case .failed(let failure):
        // The last one's pages were reserved for fewer tokens.
        #expect(index > 0 && failure.status == (index == 4 ? .internalError : .invalidArgument))
      default: #expect(index == 0)
      }
    }
    try batch.caches[0].advance(by: 1)
    try Self.expectAlone(batch, model, but: [1, 2, 3, 4, 5, 6], "beside bad ones")
  }
}
