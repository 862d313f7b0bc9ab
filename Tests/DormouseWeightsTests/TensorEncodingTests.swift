import DormouseSupport
import DormouseWeights
import Testing

/// How a weight is coded, told by `quantization_config` and the tensors beside it.
@Suite struct TensorEncodingTests {
  typealias Entry = (name: String, type: String, shape: [Int])

  private static let bytes = ["F32": 4, "I32": 4, "BF16": 2, "F16": 2]

  /// A checkpoint of one file with these tensors, all zeros.
  private func checkpoint(_ folder: TemporaryFolder, _ tensors: [Entry]) throws -> Checkpoint {
    var (members, end): ([String], Int) = ([], 0)
    for (name, type, shape) in tensors {
      let count = shape.reduce(Self.bytes[type] ?? 1, *)
      members.append(
        "\"\(name)\":{\"dtype\":\"\(type)\",\"shape\":\(shape),\"data_offsets\":[\(end),\(end + count)]}")
      end += count
    }
    try folder.write(
      "model.safetensors", header: "{\(members.joined(separator: ","))}", data: [UInt8](repeating: 0, count: end))
    return try Checkpoint(folder: folder.path)
  }

  private func quantization(_ config: JSON) throws -> BlockQuantization? {
    try BlockQuantization(document: try JSONFields(["quantization_config": config], file: "config.json"))
  }

  /// The scales of the float8 matrix `a.weight` [rows, columns].
  private func scales(
    _ rows: Int, _ columns: Int, _ config: JSON, _ scales: Entry
  ) throws -> TensorEncoding.ScaleGrid? {
    let checkpoint = try checkpoint(TemporaryFolder(), [("a.weight", "F8_E4M3", [rows, columns]), scales])
    let record = try checkpoint.weightRecord(of: "a.weight", shape: [rows, columns])
    return try TensorEncoding(
      record, count: nil, rows: rows, columns: columns, in: checkpoint, quantization(config)
    ).scales
  }

  // MARK: - Blocks

  @Test(arguments: [[128, 128], [32, 32], [1, 128], [48, 100], [65536, 1]])
  func blocksAreAsTheConfigurationSays(_ block: [Int]) throws {
    let (rows, columns) = (150, 333)
    let grid = [(rows + block[0] - 1) / block[0], (columns + block[1] - 1) / block[1]]
    let config: JSON = ["quant_method": "fp8", "weight_block_size": .array(block.map { .integer(Int64($0)) })]
    let found = try #require(try scales(rows, columns, config, ("a.weight_scale_inv", "F32", grid)))
    #expect([found.rowBlock, found.columnBlock] == block)
    #expect(found.columns == grid[1] && found.byteCount == grid[0] * grid[1] * 4)
  }

  /// Where the configuration has no block size, the scales' shape tells it: powers of two before all others.
  @Test(arguments: [
    ([576, 1024], [5, 8], [128, 128]), ([576, 1024], [18, 32], [32, 32]), ([192, 384], [2, 4], [128, 96]),
    ([60, 64], [60, 1], [1, 64]), ([1, 7], [1, 1], [1, 7]),
  ])
  func blocksAreAsTheScalesShapeSays(_ shape: [Int], _ grid: [Int], _ block: [Int]) throws {
    let found = try #require(
      try scales(shape[0], shape[1], ["quant_method": "fp8"], ("a.weight_scale_inv", "BF16", grid)))
    #expect([found.rowBlock, found.columnBlock] == block)
  }

  @Test(arguments: [[7, 1], [11, 1], [0, 1], [1], [1, 1, 1]])
  func aShapeThatNoBlocksFitIsRefused(_ grid: [Int]) throws {
    let found = failure { _ = try scales(10, 4, ["quant_method": "fp8"], ("a.weight_scale_inv", "F32", grid)) }
    #expect(found?.status == .malformed)
    #expect(
      found?.message.hasSuffix(
        "model.safetensors: tensor a.weight_scale_inv has shape \(grid); expected a scale for each block of a.weight"
          + " [10, 4]") == true, "\(found?.message ?? "")")
  }

  @Test func aBlockSizeThatTheScalesContradictIsNamed() throws {
    let config: JSON = ["quant_method": "fp8", "weight_block_size": [128, 128]]
    let found = failure { _ = try scales(256, 192, config, ("a.scale", "F8_E8M0", [8, 6])) }
    #expect(found?.status == .malformed)
    #expect(
      found?.message.hasSuffix(
        "model.safetensors: tensor a.scale has shape [8, 6]; expected [2, 2], since config.json:"
          + " quantization_config.weight_block_size is [128, 128]; that is the shape for blocks of [32, 32]") == true,
      "\(found?.message ?? "")")
    let other = failure { _ = try scales(256, 192, config, ("a.scale", "F8_E8M0", [2])) }
    #expect(
      other?.message.hasSuffix(
        "expected [2, 2], since config.json: quantization_config.weight_block_size is [128, 128]")
        == true, "\(other?.message ?? "")")
  }

  @Test func missingScalesAreNamed() throws {
    let config: JSON = ["quant_method": "fp8"]
    let found = failure { _ = try scales(256, 192, config, ("a.weight_scale", "F32", [2, 2])) }
    #expect(found?.status == .malformed && found?.message.hasSuffix("a.weight_scale_inv is missing") == true)
  }

  // MARK: - Encodings that are not read

  private static let methods: [(String, String?, String)] = [
    ("awq", nil, "quant_method is \"awq\" (int4 in groups with zero points)"),
    ("gptq", nil, "quant_method is \"gptq\" (int4 in groups with zero points)"),
    ("bitsandbytes", nil, "quant_method is \"bitsandbytes\" (int8 or nf4 with a codebook)"),
    ("mxfp4", nil, "quant_method is \"mxfp4\" (fp4 with an e8m0 scale for 32 numbers)"),
    ("compressed-tensors", nil, "quant_method is \"compressed-tensors\""),
    (
      "compressed-tensors", "pack-quantized",
      "format is \"pack-quantized\" (int4 or int8 in groups, packed into int32)"
    ),
    (
      "compressed-tensors", "mxfp4-pack-quantized",
      "format is \"mxfp4-pack-quantized\" (fp4 with an e8m0 scale for 32 numbers)"
    ),
    ("compressed-tensors", "naive", "format is \"naive\""), ("modelopt", nil, "quant_method is \"modelopt\""),
  ]

  @Test(arguments: methods)
  func methodsAreRefusedByName(_ method: String, _ format: String?, _ sentence: String) throws {
    let config: JSON = ["quant_method": .string(method), "format": format.map { .string($0) } ?? .null]
    let found = failure { _ = try quantization(config) }
    #expect(found?.status == .unsupported)
    let message = found?.message ?? ""
    #expect(message.hasPrefix("config.json: quantization_config.\(sentence), which is not supported; "), "\(message)")
    #expect(message.hasSuffix("fp8"), "\(message)")
  }

  @Test func expertsOfFourBitsAreRefusedByName() throws {
    let document: JSON = ["expert_dtype": "fp4", "quantization_config": ["quant_method": "fp8"]]
    let found = failure { _ = try BlockQuantization(document: try JSONFields(document, file: "config.json")) }
    #expect(found?.status == .unsupported)
    #expect(found?.message.hasPrefix("config.json: expert_dtype is \"fp4\" (") == true, "\(found?.message ?? "")")
  }

  /// What stands beside the weight `a.weight` [4, 8], which is missing, or of another shape or type.
  private static let companions: [([Entry], String)] = [
    ([("a.weight_packed", "I32", [4, 1]), ("a.weight_scale", "BF16", [4, 1])], "a.weight_packed says"),
    ([("a.qweight", "I32", [1, 4])], "a.qweight says"),
    ([("a.weight", "U8", [16, 1]), ("a.weight.absmax", "F32", [1])], "a.weight.absmax says"),
    ([("a.weight", "I8", [4, 8]), ("a.SCB", "F32", [4])], "a.SCB says"),
    (
      [("a.weight", "I8", [4, 4]), ("a.scale", "F8_E8M0", [4, 1])], "a.weight has type I8 and a.scale beside it: fp4"
    ),
  ]

  /// By the tensors alone, where no configuration told before.
  @Test(arguments: companions)
  func encodingsAreKnownByTheTensorsBeside(_ tensors: [Entry], _ sentence: String) throws {
    let folder = try TemporaryFolder()
    let checkpoint = try checkpoint(folder, tensors)
    let found = failure {
      let record = try checkpoint.weightRecord(of: "a.weight", shape: [4, 8])
      _ = try TensorEncoding(record, count: nil, rows: 4, columns: 8, in: checkpoint, nil)
    }
    #expect(found?.status == .unsupported)
    #expect(
      found?.message.hasPrefix("\(folder.path)/model.safetensors: tensor \(sentence)") == true,
      "\(found?.message ?? "")")
  }
}
