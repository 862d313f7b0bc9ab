import DormouseCache
import DormouseKernels
@testable import DormouseModel
import DormouseSupport
import Testing

/// Windows and picked positions (dots3-note), beyond what all models are held to.
@Suite struct SparseAttentionTests {
  static let models = Fixtures.goodModels.filter { $0.hasPrefix("good-dots") }

  @Test func modelsAreThere() { #expect(Self.models.count >= 4) }

  /// Prompts that end around pages, windows and picks: the logits after each are those of that position.
  @Test(arguments: models, [1, 2, 20, 21, 24, 25, 63, 64, 65, 150])
  func promptsOfEveryLength(_ name: String, _ length: Int) throws {
    let golden = try ParityTests.Golden(name)
    // Of some goldens the last lengths are the same, their whole.
    let length = min(length, golden.ids.count)
    let model = try Fixtures.open(name)
    let vocabulary = model.configuration.vocabularySize
    for form in [AttentionForm.automatic, .expanded, .absorbed, .cheaper(count: length, first: 0)] {
      let timeline = try Timeline(model: model, options: DecoderOptions(contextLength: 256))
      try timeline.forward(Array(golden.ids.prefix(length)), logits: .last, form: form)
      let expected = Array(golden.logits[(length - 1) * vocabulary..<length * vocabulary])
      let error = relativeError(timeline.logits, expected)
      #expect(error <= ParityTests.bound, "\(name), \(form), \(length) tokens: \(error)")
    }
  }

  /// One token more or less than are picked changes nothing by itself: with as many picks as positions attention is
  /// exactly that over all.
  @Test func asManyPicksAsPositionsAreAll() throws {
    let tokens = (0..<25).map { Int32($0 * 7 % 61) }
    func logits(_ picked: Int) throws -> [Float] {
      let copy = try BindingTests.Copy(
        "good-dots-published", configuration: [("\"index_topk\": 24", "\"index_topk\": \(picked)")])
      let model = try Model.open(
        folder: copy.path, pool: ThreadPool(threadCount: 2), kernels: Kernels.selected())
      let timeline = try Timeline(model: model, options: DecoderOptions(contextLength: 64))
      return try ParityTests.logits(timeline, tokens, .atOnce, .absorbed)
    }
    let dense = try logits(1000)
    #expect(try logits(25) == dense)
    let vocabulary = 61
    let sparse = try logits(24)
    #expect(sparse[..<(24 * vocabulary)] == dense[..<(24 * vocabulary)])
    #expect(sparse[(24 * vocabulary)...] != dense[(24 * vocabulary)...])
  }

  /// The tensors of multi-token prediction are no part of the text model, and no surprise either.
  @Test func leftoversOfTheWholeModelAreKnown() throws {
    let lines = Lines()
    let folder = try ModelFolder(Fixtures.path("models/good-dots-sliding"))
    folder.reportLeftovers(to: lines.log)
    #expect(folder.configuration.composite == .dots3Note)
    #expect(lines.all.allSatisfy { $0.contains("multi-token prediction layers are not used") } && lines.all.count == 1)
    let names = TensorNames(folder.checkpoint)
    for name in ["vision_encoder.blocks.0.norm_1.weight", "audio_adapter.proj.0.weight"] {
      #expect(names.leftover(name, folder.configuration) == .unexpected, "\(name)")
    }
    #expect(names.leftover("model.mtp.layers.0.eh_proj.weight", folder.configuration) == .nextTokenLayer)
    #expect(names.leftover("model.layers.4.mlp.gate.weight", folder.configuration) == .unexpected)
  }

  /// A timeline longer than the decoder was made for is refused before anything is written.
  @Test func timelinesBeyondTheDecodersContextAreRefused() throws {
    let model = try Fixtures.open("good-dots-published")
    let decoder = try Decoder(model: model, options: DecoderOptions(contextLength: 8))
    let cache = try Timeline.cache(model: model, options: DecoderOptions(contextLength: 64))
    try cache.reserve(12)
    decoder.forward([Segment(cache: cache, tokens: [1, 2, 3, 4, 5, 6, 7, 8, 9], logits: .none)])
    guard case .failed(let failure) = decoder.outcomes.first else {
      Issue.record("the segment is computed")
      return
    }
    #expect(failure.status == .internalError)
  }

  // MARK: - Picking

  private static func picked(_ wanted: Int, of scores: [Float]) -> [Int] {
    var positions = [Int32](repeating: -1, count: wanted + 1)
    var histogram = [Float](repeating: 0, count: TopPositions.bucketCount)
    TopPositions.pick(wanted, of: scores, count: scores.count, histogram: &histogram, into: &positions)
    #expect(positions[wanted] == -1)
    return positions.dropLast().map(Int.init)
  }

  @Test func picksAreThoseOfASort() {
    var random = SystemRandomNumberGenerator()
    for count in [1, 2, 7, 64, 500] {
      for _ in 0..<20 {
        // Few values, so that many are equal.
        let scores = (0..<count).map { _ in Float(Int.random(in: -20...20, using: &random)) / 8 }
        let wanted = Int.random(in: 1...count, using: &random)
        let sorted = scores.indices.sorted { (-scores[$0], $0) < (-scores[$1], $1) }.prefix(wanted).sorted()
        #expect(Self.picked(wanted, of: scores) == sorted)
      }
    }
  }

  @Test func equalAndSpecialScoresHaveTheirOrder() {
    #expect(Self.picked(2, of: [0, -0.0, 0, 1]) == [0, 3])
    #expect(Self.picked(2, of: [-.infinity, .infinity, .nan, 3]) == [1, 2])
    #expect(Self.picked(3, of: [-1, -2, -3, -Float.leastNonzeroMagnitude]) == [0, 1, 3])
    #expect(Self.picked(4, of: [.nan, .nan, .nan, -.nan]) == [0, 1, 2, 3])
  }

  /// Each form's cost counts what its tokens see.
  @Test func formsAreChosenByWhatIsSeen() throws {
    let published = try ModelConfiguration(
      json: JSON.parse(argument: "{\"model_type\": \"dots3_note\"}", name: "config.json"), file: "config.json")
    let full = AttentionFormChoice(published.attentions[0])
    let sliding = AttentionFormChoice(published.attentions[1])
    #expect(full.isExpanded(count: 1000, first: 0) && sliding.isExpanded(count: 1000, first: 0))
    #expect(!full.isExpanded(count: 1, first: 1000) && !sliding.isExpanded(count: 1, first: 1000))
    // 2,048 of 100,000 positions are gathered in the absorbed form; a window is expanded for less.
    #expect(!full.isExpanded(count: 100_000, first: 0) && sliding.isExpanded(count: 100_000, first: 0))
  }
}
