import DormouseCache
import DormouseKernels
import DormouseLayers
import DormouseSupport
import Testing

/// Attention straight over the rows of a cache.
@Suite struct CachedAttentionTests {
  private static func cache(
    layers: Int, rank: Int, rope: Int, _ type: CacheRowType = .float32, capacity: Int = 1000
  ) throws -> LatentCache {
    let layout = try PageLayout(layerCount: layers, kvLoraRank: rank, qkRopeHeadDimension: rope, rowType: type)
    let budget = MemoryBudget(limit: nil, name: "the test's budget")
    return try LatentCache(
      pool: PagePool(layout: layout, kernels: try Kernels.selected(), budget: budget), capacity: capacity)
  }

  @Test(arguments: ["v3", "odd", "one", "lite"])
  func attentionEqualsNumpy(_ name: String) throws {
    let golden = try TensorFile(Fixtures.path("attention/golden.safetensors"))
    let sizes = try golden.integers("\(name).sizes")
    let shape = try golden.shape("\(name).rows")
    let query = try golden.floats("\(name).query")
    let rank = Int(sizes[0])
    let heads = query.count / shape[2]
    let scale = try golden.floats("\(name).scale")[0]
    for type in [CacheRowType.float32, .bfloat16] {
      let cache = try Self.cache(layers: shape[0], rank: rank, rope: Int(sizes[1]), type, capacity: shape[1])
      try cache.append(golden.floats("\(name).rows"), count: shape[1])
      let isPaired = try type == .bfloat16 && Kernels.selected().instructionSet == .avx512 && shape[2] % 2 == 0
      let expected = try golden.floats("\(name).\(isPaired ? "pairs" : "\(type)")")
      for layer in 0..<shape[0] {
        var out = [Float](repeating: .nan, count: heads * rank)
        try query.withUnsafeBufferPointer { query in
          try out.withUnsafeMutableBufferPointer { out in
            try cache.attend(
              query: #require(query.baseAddress), heads: heads, scale: scale, section: layer,
              into: #require(out.baseAddress))
          }
        }
        let wanted = Array(expected[layer * out.count..<(layer + 1) * out.count])
        let what: Comment = "\(name), \(type), layer \(layer)"
        if isPaired {
          // The golden's queries are rounded as the kernel's are; the weights of its rows are not.
          #expect(relativeError(out, wanted) <= 0x1p-9, what)
        } else {
          for (value, wanted) in zip(out, wanted) { #expect(abs(value - wanted) <= 2e-6 * max(1, abs(wanted)), what) }
        }
      }
    }
  }

  @Test func attentionOverNothingFails() throws {
    let cache = try Self.cache(layers: 2, rank: 5, rope: 2)
    var out = [Float](repeating: 0, count: 5)
    #expect(throws: Failure.self) {
      try cache.attend(query: [0, 0, 0, 0, 0, 0, 0], heads: 1, scale: 1, section: 0, into: &out)
    }
    try cache.append([Float](repeating: 1, count: 2 * 70 * 7), count: 70)
    for (layer, count) in [(2, 70), (-1, 70), (0, 71), (0, 0), (0, -1)] {
      let failure = #expect(throws: Failure.self) {
        try cache.attend(query: [0, 0, 0, 0, 0, 0, 0], heads: 1, scale: 1, section: layer, count: count, into: &out)
      }
      #expect(failure?.status == .invalidArgument)
    }
  }

  /// Nobody has a query of that many heads: the sizes are refused before they are computed with.
  @Test(arguments: [Int.max, Int.max / 2 + 1, Int.max / 28 + 1, -1, .min])
  func impossibleHeadCountsFail(_ heads: Int) throws {
    let cache = try Self.cache(layers: 2, rank: 5, rope: 2)
    try cache.append([Float](repeating: 1, count: 2 * 7), count: 1)
    var out = [Float](repeating: 0, count: 5)
    let failure = #expect(throws: Failure.self) {
      try cache.attend(query: [0, 0, 0, 0, 0, 0, 0], heads: heads, scale: 1, section: 0, into: &out)
    }
    #expect(failure?.status == .invalidArgument)
  }
}
