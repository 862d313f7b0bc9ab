import DormouseCache
import DormouseKernels
import DormouseSupport
import DormouseWeights
import Testing

@Suite struct LatentCacheTests {
  static func cache(
    layers: Int = 2, rank: Int = 5, rope: Int = 2, capacity: Int = 4, type: CacheRowType = .float32
  ) throws -> LatentCache {
    try LatentCache(
      layerCount: layers, kvLoraRank: rank, qkRopeHeadDimension: rope, capacity: capacity, rowType: type,
      kernels: Kernels.selected())
  }

  static func append(_ cache: LatentCache, _ rows: [Float], count: Int) throws {
    try rows.withUnsafeBufferPointer { buffer in
      if let base = buffer.baseAddress { try cache.append(base, count: count) }
    }
  }

  /// V2-Lite: in 16 bits 31,104 bytes a token.
  @Test(arguments: [(CacheRowType.float32, 62_208), (.bfloat16, 31_104), (.int8, 27 * (512 + 4 + 128))])
  func sizeIsItsFormula(_ type: CacheRowType, _ bytesPerToken: Int) throws {
    let cache = try Self.cache(layers: 27, rank: 512, rope: 64, capacity: 3, type: type)
    #expect(cache.byteCount == 3 * bytesPerToken)
    #expect(cache.rowByteCount * 27 == bytesPerToken)
  }

  /// Rows of odd sizes follow each other without padding: truncated and written again, they are what they were.
  @Test(arguments: CacheRowType.allCases)
  func truncatedRowsAreOverwritten(_ type: CacheRowType) throws {
    let (rank, rope) = (7, 3)
    let cache = try Self.cache(layers: 1, rank: rank, rope: rope, capacity: 5, type: type)
    let first = (0..<5 * 10).map { Float($0 % 13) - 6 }
    let second = (0..<2 * 10).map { 2 - Float($0 % 7) }
    try Self.append(cache, first, count: 5)
    try cache.truncate(to: 2)
    try Self.append(cache, second, count: 2)
    let fresh = try Self.cache(layers: 1, rank: rank, rope: rope, capacity: 5, type: type)
    try Self.append(fresh, Array(first[..<20]) + second, count: 4)
    let (held, wanted) = (try #require(cache.rows(layer: 0)).bytes, try #require(fresh.rows(layer: 0)).bytes)
    for byte in 0..<4 * cache.rowByteCount {
      #expect(held.load(fromByteOffset: byte, as: UInt8.self) == wanted.load(fromByteOffset: byte, as: UInt8.self))
    }
  }

  @Test func appendsTruncatesAndFills() throws {
    let cache = try Self.cache()
    let rows = (0..<2 * 3 * 7).map { Float($0) }
    try Self.append(cache, rows, count: 3)
    #expect(cache.length == 3)
    for layer in 0..<2 {
      let held = try #require(cache.rows(layer: layer)).bytes
      for index in 0..<21 {
        #expect(held.load(fromByteOffset: index * 4, as: Float.self) == rows[layer * 21 + index])
      }
    }
    #expect { try Self.append(cache, rows, count: 2) } throws: { ($0 as? Failure)?.status == .contextFull }
    #expect(cache.length == 3)
    try cache.truncate(to: 1)
    #expect { try cache.truncate(to: 2) } throws: { ($0 as? Failure)?.status == .invalidArgument }
    #expect { try cache.truncate(to: -1) } throws: { ($0 as? Failure)?.status == .invalidArgument }
    try Self.append(cache, rows, count: 3)
    #expect(cache.length == 4)
    let second = try #require(cache.rows(layer: 1)).bytes
    #expect(second.load(fromByteOffset: 7 * 4, as: Float.self) == rows[21])
    #expect(cache.rows(layer: 2)?.bytes == nil)
    #expect(cache.rows(layer: -1)?.bytes == nil)
  }

  @Test func bfloat16IsRoundedToNearestEven() throws {
    let cache = try Self.cache(layers: 1, rank: 6, rope: 0, capacity: 1, type: .bfloat16)
    let values: [Float] = [
      Float(bitPattern: 0x3F80_8000), Float(bitPattern: 0x3F81_8000), Float(bitPattern: 0x3F80_8001), -0.0,
      .infinity, Float(bitPattern: 0x7F80_0001),
    ]
    try Self.append(cache, values, count: 1)
    let held = try #require(cache.rows(layer: 0)).bytes
    let bits = (0..<6).map { held.load(fromByteOffset: $0 * 2, as: UInt16.self) }
    #expect(bits[..<5] == [0x3F80, 0x3F82, 0x3F81, 0x8000, 0x7F80])
    #expect(bits[5] & 0x7F80 == 0x7F80 && bits[5] & 0x7F != 0)
  }

  @Test func refusesImpossibleSizes() {
    #expect(throws: Failure.self) { try Self.cache(layers: 0) }
    #expect(throws: Failure.self) { try Self.cache(capacity: -1) }
    #expect { try Self.cache(layers: 1 << 40, capacity: 1 << 40) } throws: {
      ($0 as? Failure)?.status == .malformed
    }
    #expect { try Self.cache(layers: 1 << 20, rank: 1 << 20, capacity: 1 << 18) } throws: {
      ($0 as? Failure)?.status == .outOfMemory
    }
  }

  @Test(arguments: ["v3", "odd", "one", "lite"])
  func attentionEqualsNumpy(_ name: String) throws {
    let golden = try Golden()
    let sizes = try golden.integers("\(name).sizes")
    let shape = try golden.shape("\(name).rows")
    let query = try golden.floats("\(name).query")
    let rank = Int(sizes[0])
    let heads = query.count / shape[2]
    let scale = try golden.floats("\(name).scale")[0]
    for type in [CacheRowType.float32, .bfloat16] {
      let cache = try Self.cache(layers: shape[0], rank: rank, rope: Int(sizes[1]), capacity: shape[1], type: type)
      try Self.append(cache, golden.floats("\(name).rows"), count: shape[1])
      let expected = try golden.floats("\(name).\(type)")
      for layer in 0..<shape[0] {
        var out = [Float](repeating: .nan, count: heads * rank)
        try query.withUnsafeBufferPointer { query in
          try out.withUnsafeMutableBufferPointer { out in
            try cache.attend(
              query: #require(query.baseAddress), heads: heads, scale: scale, layer: layer,
              into: #require(out.baseAddress))
          }
        }
        for index in out.indices {
          let wanted = expected[layer * out.count + index]
          #expect(abs(out[index] - wanted) <= 2e-6 * max(1, abs(wanted)), "\(name), \(type), layer \(layer), \(index)")
        }
      }
    }
  }

  @Test func attentionOverNothingFails() throws {
    let cache = try Self.cache()
    var out = [Float](repeating: 0, count: 5)
    #expect(throws: Failure.self) {
      try cache.attend(query: [0, 0, 0, 0, 0, 0, 0], heads: 1, scale: 1, layer: 0, into: &out)
    }
  }

  /// Nobody has a query of that many heads: the sizes are refused before they are computed with.
  @Test(arguments: [Int.max, Int.max / 2 + 1, Int.max / 28 + 1, -1, .min])
  func impossibleHeadCountsFail(_ heads: Int) throws {
    let cache = try Self.cache()
    try Self.append(cache, [Float](repeating: 0, count: 2 * 7), count: 1)
    var out = [Float](repeating: 0, count: 5)
    let failure = #expect(throws: Failure.self) {
      try cache.attend(query: [0, 0, 0, 0, 0, 0, 0], heads: heads, scale: 1, layer: 0, into: &out)
    }
    #expect(failure?.status == .invalidArgument)
  }
}

/// The tensors of `Fixtures/attention/golden.safetensors`.
private struct Golden {
  let checkpoint: Checkpoint
  let store: TensorStore

  init() throws {
    let parts = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(2)
    checkpoint = try Checkpoint(folder: parts.joined(separator: "/") + "/Fixtures/attention/golden.safetensors")
    store = try checkpoint.load(
      checkpoint.tensorNames, residency: .memory, pool: try ThreadPool(threadCount: 1), progress: nil)
  }

  func shape(_ name: String) throws -> [Int] { try #require(checkpoint.description(of: name)).shape }
  func floats(_ name: String) throws -> [Float] { try values(name) }
  func integers(_ name: String) throws -> [Int32] { try values(name) }

  private func values<Value: BitwiseCopyable>(_ name: String) throws -> [Value] {
    let bytes = try #require(store.bytes(of: name))
    return (0..<bytes.count / MemoryLayout<Value>.size).map {
      bytes.loadUnaligned(fromByteOffset: $0 * MemoryLayout<Value>.size, as: Value.self)
    }
  }
}
