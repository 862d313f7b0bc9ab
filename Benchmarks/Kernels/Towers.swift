import DormouseKernels
import DormouseMedia
import DormouseSupport
import Glibc

/// A whole vision tower with its projector, of the published size and with random weights, on one image.
struct TowerCases {
  /// Patches of a side.
  private static let sides = [16, 32]

  var all: [Case] { TowerCases.sides.map(make) }

  private func make(_ side: Int) -> Case {
    let shape = MoonViT()
    let grid = PatchGrid(height: side, width: side)
    let work = Work(bytes: Double(shape.byteCount), operations: shape.operations(patches: side * side))
    return Case(name: "tower/kimi_k25/bfloat16/\(side)x\(side)", work: work) { () throws(Failure) in
      let bench = try TowerBench(shape, grid)
      return { kernels, pool in bench.encode(kernels, pool) }
    }
  }
}

/// The tower of Kimi K2.5: the defaults of `Kimi_K25VisionConfig`, and the text model's width.
private struct MoonViT {
  let layers = 27
  let hidden = 1152
  let intermediate = 4304
  let patch = 3 * 14 * 14
  let positions = 64
  let merge = 4
  let text = 7168

  var merged: Int { merge * hidden }

  /// Name and shape of each tensor, as published.
  var tensors: [(name: String, shape: [Int])] {
    var all = [
      ("vision_tower.patch_embed.proj.weight", [hidden, 3, 14, 14]), ("vision_tower.patch_embed.proj.bias", [hidden]),
      ("vision_tower.patch_embed.pos_emb.weight", [positions, positions, hidden]),
    ]
    func add(_ name: String, _ shape: [Int]) {
      all += [("\(name).weight", shape), ("\(name).bias", [shape[0]])]
    }
    for layer in 0..<layers {
      let block = "vision_tower.encoder.blocks.\(layer)."
      add("\(block)norm0", [hidden])
      add("\(block)wqkv", [3 * hidden, hidden])
      add("\(block)wo", [hidden, hidden])
      add("\(block)norm1", [hidden])
      add("\(block)mlp.fc0", [intermediate, hidden])
      add("\(block)mlp.fc1", [hidden, intermediate])
    }
    add("vision_tower.encoder.final_layernorm", [hidden])
    add("mm_projector.pre_norm", [hidden])
    add("mm_projector.proj.0", [merged, merged])
    add("mm_projector.proj.2", [text, merged])
    return all
  }

  /// Of the weights, in bfloat16.
  var byteCount: Int { tensors.reduce(0) { $0 + $1.shape.reduce(2, *) } }

  /// Float32 operations of all products, attention's among them; of nothing else.
  func operations(patches: Int) -> Double {
    let layer = 4 * hidden * hidden + 2 * hidden * intermediate + 2 * patches * hidden
    let projector = merged * merged + merged * text
    return 2 * Double(patches) * Double(patch * hidden + layers * layer) + 2 * Double(patches / merge * projector)
  }
}

/// A tower in a folder of its own, which goes with this.
private final class TowerBench {
  private let grid: PatchGrid
  private let path: String
  private var tower: VisionTower?
  private var patches: [Float]
  private var rows: [Float] = []

  init(_ shape: MoonViT, _ grid: PatchGrid) throws(Failure) {
    self.grid = grid
    path = try TowerBench.makeFolder()
    do {
      try TowerBench.write(shape, to: path)
    } catch {
      TowerBench.remove(path)
      throw error
    }
    var random = RandomBits()
    patches = (0..<grid.height * grid.width * shape.patch).map { _ in Float(random.next() >> 40) / Float(1 << 23) - 1 }
  }

  deinit { TowerBench.remove(path) }

  /// Loads the tower for a pool and an instruction set at the first pass with them, which is the one to warm up.
  func encode(_ kernels: Kernels, _ pool: ThreadPool) {
    do {
      if tower?.pool !== pool || tower?.kernels.instructionSet != kernels.instructionSet {
        tower = try VisionTower(folder: path, pool: pool, kernels: kernels)
      }
      guard let tower else { return }
      rows = [Float](repeating: 0, count: try tower.tokenCount([grid]) * tower.configuration.textHiddenSize)
      try patches.withUnsafeBufferPointer { patches in
        try rows.withUnsafeMutableBufferPointer { try tower.encode(patches, grids: [grid], into: $0) }
      }
    } catch {
      Output.write("dormouse-kernels-bench: \(error)", to: STDERR_FILENO)
      exit(1)
    }
  }

  private static func makeFolder() throws(Failure) -> String {
    var template = Array("/tmp/dormouse-bench-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw Failure(.inputOutput, "no temporary folder") }
    return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  private static func remove(_ path: String) {
    for name in ["config.json", "model.safetensors"] { Glibc.remove("\(path)/\(name)") }
    rmdir(path)
  }

  private static func write(_ shape: MoonViT, to path: String) throws(Failure) {
    let config = #"{"model_type": "kimi_k25", "text_config": {"hidden_size": \#(shape.text)}}"#
    try write("\(path)/config.json") { _ = fwrite(config, 1, config.utf8.count, $0) }
    var entries: [String] = []
    var offset = 0
    for (name, sizes) in shape.tensors {
      let end = offset + sizes.reduce(2, *)
      entries.append(#""\#(name)": {"dtype": "BF16", "shape": \#(sizes), "data_offsets": [\#(offset), \#(end)]}"#)
      offset = end
    }
    let header = "{" + entries.joined(separator: ",") + "}"
    let block = try AlignedBuffer(byteCount: 1 << 20, for: "random weights")
    fill(block)
    try write("\(path)/model.safetensors") { file in
      var length = UInt64(header.utf8.count).littleEndian
      fwrite(&length, 8, 1, file)
      fwrite(header, 1, header.utf8.count, file)
      for start in stride(from: 0, to: offset, by: block.bytes.count) {
        fwrite(block.bytes.baseAddress, 1, min(block.bytes.count, offset - start), file)
      }
    }
  }

  /// Numbers of bfloat16 below 2^-5, so that the stream neither dies out nor overflows.
  private static func fill(_ block: AlignedBuffer) {
    var random = RandomBits()
    for index in block.bound(to: UInt64.self).indices {
      block.bound(to: UInt64.self)[index] = random.next() & 0x807F_807F_807F_807F | 0x3C80_3C80_3C80_3C80
    }
  }

  private static func write(_ path: String, _ body: (UnsafeMutablePointer<FILE>) -> Void) throws(Failure) {
    guard let file = fopen(path, "w") else { throw Failure(.inputOutput, "\(path): can't be written") }
    body(file)
    let isWritten = ferror(file) == 0
    guard fclose(file) == 0, isWritten else { throw Failure(.inputOutput, "\(path): can't be written") }
  }
}
