import DormouseKernels
import DormouseSupport
import DormouseWeights
import Synchronization
import Testing

@testable import DormouseModel

/// Where experts lie, and how layers lease them.
@Suite struct ExpertTests {
  /// One by one in the file or fused: an expert's packed matrices are one run of bytes.
  @Test(arguments: Fixtures.goodModels, [WeightPrecision.int8, .int4])
  func packedExpertsLieTogether(_ name: String, _ precision: WeightPrecision) throws {
    let model = try Fixtures.open(name, precision)
    let ids = (0..<Int32(model.configuration.router.expertCount)).map { $0 }
    for (layer, kind) in model.configuration.feedForward.enumerated() where kind == .experts {
      var previous: UnsafeRawPointer?
      try Self.lease(ids, of: layer, from: model.weights.experts) { lease in
        for id in lease.ids {
          let expert = lease[id]
          guard case .panels(let gate) = expert.gate, case .panels(let up) = expert.up,
            case .panels(let down) = expert.down
          else {
            Issue.record("\(name): layer \(layer), expert \(id) is not packed")
            return
          }
          #expect(gate.data + gate.byteCount == up.data && up.data + up.byteCount == down.data)
          #expect(previous == nil || previous == gate.data)
          previous = down.data + down.byteCount
        }
      }
    }
  }

  /// In whatever parts and order experts come: the bits are the same.
  @Test(arguments: ["good-v3-group8", "good-v2-group", "good-dots-published"], WeightPrecision.allCases)
  func partsChangeNothing(_ name: String, _ precision: WeightPrecision) throws {
    let model = try Fixtures.open(name, precision)
    let expected = try Self.logits(model, nil)
    for size in [1, 3] {
      let parts = Parts(model.weights.experts, size: size)
      #expect(try Self.logits(model, parts) == expected, "parts of \(size)")
      #expect(parts.asked.withLock { $0 } > 1)
    }
  }

  /// An expert that can't be had fails the batch, whichever layer asks and however many came before; the decoder goes on.
  @Test(arguments: [WeightPrecision.native, .int8])
  func failedLeasesFailTheBatch(_ precision: WeightPrecision) throws {
    let model = try Fixtures.open("good-v3-group8", precision)
    let expected = try Self.logits(model, nil)
    let parts = Parts(model.weights.experts, size: 2)
    let timeline = try Timeline(model: model, options: Self.options, experts: parts)
    let layers = model.configuration.feedForward.filter { $0 == .experts }.count
    for served in 0..<2 * layers {
      parts.served.withLock { $0 = served }
      #expect(throws: Parts.failure) { try timeline.forward(Self.prompt, logits: .last) }
      #expect(timeline.position == 0)
    }
    parts.served.withLock { $0 = .max }
    try timeline.forward(Self.prompt, logits: .last)
    #expect(Array(timeline.logits) == expected)
  }

  /// All segments of the batch have that outcome.
  @Test func everySegmentIsTold() throws {
    let model = try Fixtures.open("good-v3-group8")
    let parts = Parts(model.weights.experts, size: 1)
    parts.served.withLock { $0 = 0 }
    let decoder = try Decoder(model: model, options: Self.options, experts: parts)
    var segments: ContiguousArray<Segment> = []
    for tokens in [[1, 2, 3], [-1], [4]] as [[Int32]] {
      let cache = try Timeline.cache(model: model, options: Self.options)
      try cache.reserve(tokens.count)
      segments.append(Segment(cache: cache, tokens: tokens[...], logits: .none))
    }
    decoder.forward(segments)
    let said = decoder.outcomes.map { if case .failed(let failure) = $0 { failure.status } else { Status.ok } }
    #expect(said == [.inputOutput, .invalidArgument, .inputOutput])
  }

  @Test func residentExpertsAreThoseOfTheModel() throws {
    let model = try Fixtures.open("good-v3-group8")
    let (experts, count) = (model.weights.experts, Int32(model.configuration.router.expertCount))
    for (ids, layer) in [([0], -1), ([0], model.configuration.hiddenLayerCount), ([1, count], 1)] as [([Int32], Int)] {
      #expect { try Self.lease(ids, of: layer, from: experts) { _ in Issue.record("\(ids), \(layer)") } } throws: {
        ($0 as? Failure)?.status == .internalError
      }
    }
  }

  private static let prompt: [Int32] = [5, 9, 2, 44, 17, 3, 8, 51, 30, 33]
  private static let options = DecoderOptions(contextLength: 64, chunk: 16, batch: 4)

  private static func logits(_ model: Model, _ experts: (any ExpertSource)?) throws -> [Float] {
    let timeline = try Timeline(model: model, options: options, experts: experts)
    try timeline.forward(prompt, logits: .last)
    return Array(timeline.logits)
  }

  private static func lease(
    _ ids: [Int32], of layer: Int, from source: some ExpertSource, _ body: (ExpertLease) -> Void
  ) throws {
    let ids = ContiguousArray(ids)
    let outcome = ids.withUnsafeBufferPointer { ids -> Failure? in
      do throws(Failure) { try source.lease(ids, of: layer, body) } catch { return error }
      return nil
    }
    if let outcome { throw outcome }
  }
}

/// Leases another's experts in parts, the last ones first, after a part that is empty.
private final class Parts: ExpertSource {
  static let failure = Failure(.inputOutput, "experts.dmx: read 0 of 4096 bytes at 8192")

  /// Leases until one fails.
  let served = Mutex<Int>(.max)
  let asked = Mutex<Int>(0)
  private let source: ResidentExperts
  private let size: Int

  init(_ source: ResidentExperts, size: Int) {
    self.source = source
    self.size = size
  }

  func lease(
    _ ids: UnsafeBufferPointer<Int32>, of layer: Int, _ body: (ExpertLease) -> Void
  ) throws(Failure) {
    #expect(!ids.isEmpty && zip(ids, ids.dropFirst()).allSatisfy { $0 < $1 })
    let none = UnsafeBufferPointer<ExpertWeights>(start: nil, count: 0)
    body(ExpertLease(UnsafeBufferPointer(rebasing: ids[..<0]), in: none))
    var end = ids.count
    while end > 0 {
      let left = served.withLock { served in
        defer { served -= served == .max ? 0 : 1 }
        return served
      }
      guard left > 0 else { throw Parts.failure }
      asked.withLock { $0 += 1 }
      let first = max(end - size, 0)
      try source.lease(UnsafeBufferPointer(rebasing: ids[first..<end]), of: layer, body)
      end = first
    }
  }
}
