import DormouseKernels
import DormouseSupport
import Glibc
import Testing

@testable import DormouseMedia

/// A vision tower's rows equal those of transformers 5.23, under every spelling of its tensors.
@Suite struct VisionTowerTests {
  /// A folder of weights and the folder whose goldens they have.
  private static let folders = [
    ("kimi_k25-tiny", "kimi_k25-tiny"), ("kimi_k25-modules", "kimi_k25-saved"), ("kimi_k25-saved", "kimi_k25-saved"),
    ("kimi_vl-tiny", "kimi_vl-tiny"),
  ]
  private static let tolerance = 5e-6

  @Test(arguments: folders) func equalsTransformers(folder: String, goldens: String) throws {
    let golden = try TensorFile(Fixtures.path("models-media/\(goldens)/tower.safetensors"))
    let batches = golden.names.filter { $0.utf8.suffix(6).elementsEqual(".grids".utf8) }.map { $0.dropLast(6) }
    #expect(!batches.isEmpty)
    for kernels in Kernels.usable().compactMap({ try? Kernels.make($0) }) {
      for threads in [1, 3] {
        let tower = try Tower.open(folder, threads: threads, kernels: kernels)
        for batch in batches {
          let grids = try golden.grids("\(batch).grids")
          let patches = try Tower.patches(grids, tower.configuration)
          let what = "\(batch), \(kernels.instructionSet), \(threads) threads"
          let rows = try Tower.encode(tower, patches, grids)
          let rowError = relativeError(rows, try golden.floats("\(batch).rows"))
          #expect(rowError < Self.tolerance, "projector: \(what)")
          let stream = try Tower.stream(tower, patches, grids)
          let streamError = relativeError(stream, try golden.floats("\(batch).tower"))
          #expect(streamError < Self.tolerance, "tower: \(what)")
        }
      }
    }
  }

  /// Images don't see each other: each has in a batch the rows that it has alone.
  @Test func picturesStayApart() throws {
    let tower = try Tower.open("kimi_k25-tiny")
    let grids = [
      PatchGrid(height: 4, width: 6), PatchGrid(frames: 3, height: 2, width: 4), PatchGrid(height: 2, width: 2),
    ]
    let patches = try Tower.patches(grids, tower.configuration)
    let together = try Tower.encode(tower, patches, grids)
    var alone: [Float] = []
    var start = 0
    for grid in grids {
      let count = try grid.patchCount() * tower.configuration.patchWidth
      alone += try Tower.encode(tower, Array(patches[start..<start + count]), [grid])
      start += count
    }
    #expect(relativeError(together, alone) < 1e-6)
  }

  /// What is given in advance is what the work takes, and grows with the patches.
  @Test func scratchIsKnownBefore() throws {
    let configuration = try Tower.open("kimi_k25-tiny").configuration
    let sizes = try [1, 64, 4096].map {
      try VisionTower.scratchByteCount(configuration, patches: $0, threads: 2)
    }
    #expect(sizes[0] < sizes[1] && sizes[1] < sizes[2])
    let one = try VisionTower.scratchByteCount(configuration, patches: 64, threads: 1)
    let two = try VisionTower.scratchByteCount(configuration, patches: 64, threads: 2)
    let three = try VisionTower.scratchByteCount(configuration, patches: 64, threads: 3)
    #expect(two - one == three - two && two > one)
  }

  @Test func cancelledWithinALayer() throws {
    let tower = try Tower.open("kimi_k25-tiny")
    let grids = [PatchGrid(height: 4, width: 4)]
    let patches = try Tower.patches(grids, tower.configuration)
    var layers = 0
    let asked = Locked(0)
    /// Goes on until it was asked more than `limit` times.
    func stopping(after limit: Int) -> Interruption {
      asked.withLock { $0 = 0 }
      return Interruption {
        asked.withLock { $0 += 1 }
        return asked.withLock { $0 } > limit ? Failure(.cancelled, "enough") : nil
      }
    }
    _ = try Tower.encode(tower, patches, grids, stopping(after: .max)) { done, total in
      layers = done
      #expect(total == 3)
    }
    let count = asked.withLock { $0 }
    #expect(layers == 3 && count >= 3 * 4)
    for limit in 0..<count {
      let failure = #expect(throws: Failure.self) {
        _ = try Tower.encode(tower, patches, grids, stopping(after: limit))
      }
      #expect(failure?.status == .cancelled)
    }
  }

  @Test func nothingToEncode() throws {
    let tower = try Tower.open("kimi_k25-tiny")
    #expect(try Tower.encode(tower, [], []).isEmpty)
  }
}

/// Attention with heads as wide as MoonViT's, and more patches than a tile of keys or a block of queries has.
@Suite struct VisionAttentionTests {
  @Test(arguments: [1, 256, 257, 700]) func equalsTheDefinition(count: Int) throws {
    let (heads, width) = (2, 72)
    let hidden = heads * width
    let configuration = try #require(
      try VisionConfiguration(
        json: [
          "model_type": "kimi_k25",
          "vision_config": [
            "hidden_size": 144, "num_attention_heads": 2,
            "intermediate_size": 8, "merge_kernel_size": 1,
          ], "text_config": ["hidden_size": 4],
        ]))
    let layout = try VisionScratchLayout(configuration, patches: count + 3, threads: 2)
    let scratch = try VisionScratch(layout)
    let rows = 3..<count + 3
    for (index, target) in [scratch.query, scratch.key, scratch.value].enumerated() {
      for i in 0..<(count + 3) * hidden { target[i] = Self.number(i * 3 + index) * (index == 2 ? 1 : 0.7) }
    }
    let pool = try ThreadPool(threadCount: 2)
    for kernels in Kernels.usable().compactMap({ try? Kernels.make($0) }) {
      try VisionAttention(configuration).run(
        rows, scratch: scratch, kernels: kernels, pool: pool, .never)
      for query in [rows.lowerBound, rows.lowerBound + count / 2, rows.upperBound - 1] {
        for head in 0..<heads {
          let expected = Self.attend(scratch, query, head, rows, width: width, hidden: hidden)
          let found = (0..<width).map { scratch.normed[query * hidden + head * width + $0] }
          #expect(relativeError(found, expected) < 2e-6, "\(kernels.instructionSet), query \(query), head \(head)")
        }
      }
    }
  }

  /// A number in -1...1 that looks like chance.
  private static func number(_ index: Int) -> Float {
    var bits = UInt64(truncatingIfNeeded: index) &* 0x9E37_79B9_7F4A_7C15
    bits ^= bits >> 29
    bits = bits &* 0xBF58_476D_1CE4_E5B9
    return Float(Int64(bitPattern: bits) >> 40) / Float(1 << 23)
  }

  private static func attend(
    _ scratch: VisionScratch, _ query: Int, _ head: Int, _ rows: Range<Int>, width: Int, hidden: Int
  ) -> [Float] {
    func channel(_ memory: UnsafeMutablePointer<Float>, _ row: Int, _ index: Int) -> Double {
      Double(memory[row * hidden + head * width + index])
    }
    let scores = rows.map { key in
      (0..<width).reduce(0.0) { $0 + channel(scratch.query, query, $1) * channel(scratch.key, key, $1) }
    }
    let top = scores.max() ?? 0
    let weights = scores.map { exp($0 - top) }
    let total = weights.reduce(0, +)
    return (0..<width).map { index in
      Float(zip(rows, weights).reduce(0.0) { $0 + $1.1 * channel(scratch.value, $1.0, index) } / total)
    }
  }
}

/// Towers of the fixtures.
enum Tower {
  static func open(
    _ folder: String, threads: Int = 2, kernels: Kernels? = nil
  ) throws -> VisionTower {
    let found = try VisionFolder(Fixtures.path("models-media/\(folder)"))
    return try VisionTower(
      found, pool: ThreadPool(threadCount: threads), kernels: kernels ?? Kernels.selected())
  }

  /// The numbers that `generate_kimi.py` gives its towers.
  static func patches(_ grids: [PatchGrid], _ configuration: VisionConfiguration) throws -> [Float] {
    let count = try grids.reduce(0) { try $0 + $1.patchCount() } * configuration.patchWidth
    return (0..<count).map { Float(($0 * 37 + 11) % 251) / 125 - 1 }
  }

  static func encode(
    _ tower: VisionTower, _ patches: [Float], _ grids: [PatchGrid], _ interruption: Interruption = .never,
    progress: ((Int, Int) -> Void)? = nil
  ) throws -> [Float] {
    let count = try tower.tokenCount(grids) * tower.configuration.textHiddenSize
    var rows = [Float](repeating: .nan, count: count)
    try patches.withUnsafeBufferPointer { patches in
      try rows.withUnsafeMutableBufferPointer { rows in
        try tower.encode(patches, grids: grids, into: rows, interruption, progress: progress)
      }
    }
    return rows
  }

  /// The tower's own rows, normalised, before frames are averaged: [patches, hidden].
  static func stream(_ tower: VisionTower, _ patches: [Float], _ grids: [PatchGrid]) throws -> [Float] {
    var rows = [Float](repeating: .nan, count: try tower.tokenCount(grids) * tower.configuration.textHiddenSize)
    return try patches.withUnsafeBufferPointer { patches in
      let pass = try rows.withUnsafeMutableBufferPointer { rows in
        let pass = try #require(try tower.pass(grids, patches: patches.count, rows: rows.count))
        try pass.run(try #require(patches.baseAddress), progress: nil)
        return pass
      }
      return Array(UnsafeBufferPointer(start: pass.scratch.normed, count: pass.count * tower.configuration.hiddenSize))
    }
  }
}

extension TensorFile {
  func grids(_ name: String) throws -> [PatchGrid] {
    let numbers = try integers(name).map { Int($0) }
    return stride(from: 0, to: numbers.count, by: 3).map {
      PatchGrid(frames: numbers[$0], height: numbers[$0 + 1], width: numbers[$0 + 2])
    }
  }
}
