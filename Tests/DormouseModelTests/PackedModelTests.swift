import DormouseKernels
import DormouseModel
import DormouseSupport
import Testing

/// Models whose weights are packed while loading.
@Suite struct PackedModelTests {
  /// Packed matrices, fused or not, ragged or not, from every type of file: near the float32 result, and in each form of
  /// attention the same bits into whatever pieces the tokens are cut.
  @Test(arguments: Fixtures.goodModels, [WeightPrecision.int8, .int4])
  func piecesChangeNothing(_ name: String, _ precision: WeightPrecision) throws {
    let golden = try ParityTests.Golden(name)
    let model = try Fixtures.open(name, precision)
    func logits(_ feeding: ParityTests.Feeding, _ form: AttentionForm) throws -> [Float] {
      let timeline = try Timeline(model: model, options: DecoderOptions(contextLength: 256, chunk: 50))
      return try ParityTests.logits(timeline, golden.ids, feeding, form)
    }
    let expanded = try logits(.atOnce, .expanded)
    let absorbed = try logits(.atOnce, .absorbed)
    // A head that is the embedding is not packed: it multiplies many rows in another order than few.
    let bound = model.configuration.tiesWordEmbeddings ? 1e-6 : 0
    for feeding in [ParityTests.Feeding.tokenByToken, .unevenPieces] {
      #expect(try relativeError(logits(feeding, .expanded), expanded) <= bound, "\(name), \(feeding), expanded")
      #expect(try relativeError(logits(feeding, .absorbed), absorbed) <= bound, "\(name), \(feeding), absorbed")
    }
    // The absorbed form rounds queries and attended latents to bytes, as products with packed matrices do; the expanded
    // form does not. Where the router then takes another expert, all later positions see it.
    let difference = relativeError(absorbed, expanded)
    #expect(difference <= 0.3, "\(name): \(difference)")
    let width = model.configuration.vocabularySize
    let ofPositions = stride(from: 0, to: absorbed.count, by: width).map {
      relativeError(absorbed[$0..<$0 + width], expanded[$0..<$0 + width])
    }.sorted()
    #expect(ofPositions[ofPositions.count / 4] <= 0.05, "\(name): \(ofPositions)")
    for (form, found) in [("expanded", expanded), ("absorbed", absorbed)] {
      let error = relativeError(found, golden.logits)
      let most = precision == .int8 ? 0.3 : 0.8
      #expect(error <= most && error > 1e-5, "\(name), \(precision), \(form): \(error)")
      MiddleErrors.expect(found, golden.logits, name, vocabulary: width, precision)
    }
  }

  @Test(arguments: Fixtures.goodModels, [WeightPrecision.int8, .int4])
  func planIsKept(_ name: String, _ precision: WeightPrecision) throws {
    let folder = try ModelFolder(Fixtures.path("models/\(name)"), precision: precision)
    let model = try Fixtures.open(name, precision)
    let plan = try folder.plan(DecoderOptions(contextLength: 64), threadCount: 2, kernels: Kernels.selected())
    #expect(model.weightByteCount == plan.weightByteCount)
    #expect(model.floatByteCount == plan.floatByteCount)
    let timeline = try Timeline(model: model, options: DecoderOptions(contextLength: 64))
    #expect(timeline.decoder.byteCount == plan.scratchByteCount)
  }

  @Test func resultsDoNotDependOnThreads() throws {
    let golden = try ParityTests.Golden("good-v3-group8")
    var all: [[Float]] = []
    for threads in [1, 2, 3] {
      let timeline = try Timeline(
        model: Fixtures.open("good-v3-group8", .int4, threads: threads), options: DecoderOptions(contextLength: 256))
      all.append(try ParityTests.logits(timeline, golden.ids, .atOnce, .expanded))
    }
    #expect(all[0] == all[1] && all[1] == all[2])
  }

  @Test func loadingReportsProgressAndStops() throws {
    let folder = try ModelFolder(Fixtures.path("models/good-v3-group8"), precision: .int8)
    let pool = try ThreadPool(threadCount: 2)
    let total = UInt64(folder.byteCountByType.reduce(0) { $0 + $1.byteCount })
    let seen = Seen()
    let kernels = try Kernels.selected()
    _ = try Model(folder, pool: pool, kernels: kernels) { done, all in
      seen.note(done, all)
      return true
    }
    #expect(seen.last == total && seen.totals == [total] && seen.isRising)
    for stop in [UInt64(0), total / 2, total] {
      #expect(throws: Failure(.cancelled, "loading the weights was cancelled")) {
        _ = try Model(folder, pool: pool, kernels: kernels) { done, _ in done < stop }
      }
    }
  }

  private final class Seen: @unchecked Sendable {
    var last: UInt64 = 0
    var totals: Set<UInt64> = []
    var isRising = true

    func note(_ done: UInt64, _ total: UInt64) {
      isRising = isRising && done >= last
      last = done
      totals.insert(total)
    }
  }
}
