import DormouseKernels
import DormouseLayers
import DormouseSupport
import DormouseWeights
import Testing

@Suite struct LoadedTensorsTests {
  /// A checkpoint of one file with these tensors: name, type, shape, bytes.
  private func checkpoint(
    _ folder: TemporaryFolder, _ tensors: [(String, String, [Int], [UInt8])]
  ) throws -> (Checkpoint, TensorStore) {
    var (members, data): ([String], [UInt8]) = ([], [])
    for (name, type, shape, bytes) in tensors {
      members.append(
        "\"\(name)\":{\"dtype\":\"\(type)\",\"shape\":\(shape),\"data_offsets\":[\(data.count),\(data.count + bytes.count)]}"
      )
      data += bytes
    }
    let header = Array("{\(members.joined(separator: ","))}".utf8)
    let length = (0..<8).map { UInt8(truncatingIfNeeded: header.count >> ($0 * 8)) }
    try folder.write("model.safetensors", length + header + data)
    let checkpoint = try Checkpoint(folder: folder.path)
    let store = try checkpoint.load(
      checkpoint.tensorNames, residency: .memory, pool: try ThreadPool(threadCount: 1), progress: nil)
    return (checkpoint, store)
  }

  private func bytes(_ floats: [Float]) -> [UInt8] {
    floats.flatMap { value in (0..<4).map { UInt8(truncatingIfNeeded: value.bitPattern >> (8 * $0)) } }
  }

  /// Fused experts whose rows are no multiple of a block's have a row of scales more each: 130 rows in blocks of 128.
  @Test func fusedFloat8ExpertsHaveScalesOfTheirOwn() throws {
    let (count, rows, columns) = (3, 130, 5)
    // 0x38 is 1.0; each expert has the scales 2 and 3, 20 and 30, 200 and 300.
    let scales: [Float] = [2, 3, 20, 30, 200, 300]
    let folder = try TemporaryFolder()
    let (checkpoint, store) = try checkpoint(
      folder,
      [
        ("experts", "F8_E4M3", [count, rows, columns], [UInt8](repeating: 0x38, count: count * rows * columns)),
        ("experts_scale_inv", "F32", [count, 2, 1], bytes(scales)),
      ])
    let document: JSON = ["quantization_config": ["quant_method": "fp8", "weight_block_size": [128, 128]]]
    let spec = TensorSpec(
      "experts", shape: [count, rows, columns], part: .experts, role: .fusedWeights(cuts: [0..<rows]))
    var plan = TensorPlan(checkpoint, try BlockQuantization(document: try JSONFields(document, file: "c")))
    try plan.add(spec)
    let kernels = try Kernels.selected()
    for (index, matrix) in try LoadedTensors(plan, store: store).matrices(spec).enumerated() {
      for row in 0..<rows {
        var values = [Float](repeating: 0, count: columns)
        kernels.dequantize(matrix, row: row, into: &values)
        #expect(
          values == Array(repeating: scales[2 * index + row / 128], count: columns), "expert \(index), row \(row)")
      }
    }
  }

  /// Scales of every type, under both names: 3, but 4 where powers of two alone are to be had.
  @Test(arguments: [("F32", [0, 0, 0x40, 0x40]), ("BF16", [0x40, 0x40]), ("F16", [0, 0x42]), ("F8_E8M0", [0x81])])
  func scalesOfEveryTypeUnderBothNames(_ type: String, _ three: [UInt8]) throws {
    for name in ["a.weight_scale_inv", "a.scale"] {
      for config: JSON in [["quant_method": "fp8", "weight_block_size": [32, 32]], ["quant_method": "fp8"]] {
        let folder = try TemporaryFolder()
        let (checkpoint, store) = try checkpoint(
          folder,
          [
            ("a.weight", "F8_E4M3", [33, 64], [UInt8](repeating: 0x38, count: 33 * 64)),
            (name, type, [2, 2], (0..<4).flatMap { _ in three }),
          ])
        let spec = TensorSpec.weight("a.weight", rows: 33, columns: 64, .head)
        var plan = TensorPlan(
          checkpoint, try BlockQuantization(document: try JSONFields(["quantization_config": config], file: "c")))
        try plan.add(spec)
        let loaded = LoadedTensors(plan, store: store)
        let matrix = try loaded.matrix(spec)
        var values = [Float](repeating: 0, count: 64)
        try withExtendedLifetime(loaded) { try Kernels.selected().dequantize(matrix, row: 32, into: &values) }
        #expect(values == Array(repeating: type == "F8_E8M0" ? 4 : 3, count: 64), "\(name), \(config)")
        #expect(matrix.scales.map { [$0.rowBlock, $0.columnBlock] } == [32, 32])
      }
    }
  }

  /// All 65,536 half-precision numbers, subnormal ones among them, by the system's own conversion.
  @Test func halfPrecisionVectorsAreExact() throws {
    let folder = try TemporaryFolder()
    let all = (0...UInt16.max).map { $0 }
    let (checkpoint, store) = try checkpoint(
      folder,
      [
        (
          "norm", "F16", [all.count],
          all.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8(truncatingIfNeeded: $0 >> 8)] }
        )
      ])
    var plan = TensorPlan(checkpoint)
    let spec = TensorSpec.vector("norm", count: all.count, .norm)
    try plan.add(spec)
    let loaded = LoadedTensors(plan, store: store)
    let vector = try loaded.floats(spec)
    for bits in all {
      let (found, wanted) = (vector.pointer[Int(bits)], Float(Float16(bitPattern: bits)))
      #expect(found.bitPattern == wanted.bitPattern || (found.isNaN && wanted.isNaN), "\(bits)")
    }
  }
}
