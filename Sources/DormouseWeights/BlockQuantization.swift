public import DormouseSupport

/// FP8 E4M3 weights with one scale a block, as `quantization_config` of a `config.json` describes them.
public struct BlockQuantization: Sendable, Equatable {
  /// nil where the configuration leaves it to the shape of the scales.
  public let block: BlockSize?
  /// scale_fmt "ue8m0": scales are powers of two, of one byte where the file says so.
  public let powerOfTwoScales: Bool
  /// The field with the block's size, as failures name it: the file, and the field's path in it.
  let sizeField: String

  /// nil where the document has no `quantization_config`.
  /// - Throws: `Failure` naming the field, its value and what is supported.
  public init?(document: JSONFields) throws(Failure) {
    guard let fields = try document.fields("quantization_config") else { return nil }
    let method = try fields.string("quant_method")
    guard method == "fp8" else { throw try UnreadEncoding.refusal(ofMethod: method, in: fields) }
    if let type = try document.optionalString("expert_dtype"), type == "fp4" {
      throw UnreadEncoding.refusal(ofExperts: type, in: document)
    }
    try Self.require(fields, "fmt", "e4m3")
    try Self.require(fields, "activation_scheme", "dynamic")
    switch try fields.optionalString("scale_fmt") ?? "float" {
    case "float": powerOfTwoScales = false
    case "ue8m0": powerOfTwoScales = true
    case let name: throw fields.unsupported("scale_fmt", .string(name), supported: "float, ue8m0")
    }
    block = try Self.blockSize(fields)
    sizeField = "\(fields.file): \(fields.path)weight_block_size"
  }

  private static func require(_ fields: JSONFields, _ key: String, _ supported: String) throws(Failure) {
    guard let value = try fields.optionalString(key), value != supported else { return }
    throw fields.unsupported(key, .string(value), supported: supported)
  }

  /// nil where the field is missing; null says that a tensor has one scale, which no product takes.
  private static func blockSize(_ fields: JSONFields) throws(Failure) -> BlockSize? {
    guard fields.has("weight_block_size") else { return nil }
    guard let block = try fields.optionalArray("weight_block_size") else {
      throw fields.unsupported("weight_block_size", .null, supported: "[rows, columns] of a block")
    }
    let sizes = block.compactMap { $0.integerValue.flatMap { Int(exactly: $0) } }
    guard block.count == 2, sizes.count == 2, sizes.allSatisfy({ (1...65536).contains($0) }) else {
      throw Failure(
        .malformed,
        "\(fields.file): \(fields.path)weight_block_size is \(JSON.array(Array(block.prefix(4))).text());"
          + " expected two integers from 1 to 65536")
    }
    return BlockSize(rows: sizes[0], columns: sizes[1])
  }
}

/// Rows and columns that share a scale.
public struct BlockSize: Sendable, Equatable {
  public let rows: Int
  public let columns: Int

  init(rows: Int, columns: Int) {
    self.rows = rows
    self.columns = columns
  }

  /// The size that a matrix [rows, columns] with a grid of scales of this shape has; nil where none fits.
  init?(ofMatrix rows: Int, _ columns: Int, grid: ArraySlice<Int>) {
    guard grid.count == 2, let gridRows = grid.first, let gridColumns = grid.last,
      let rows = Self.extent(rows, scales: gridRows), let columns = Self.extent(columns, scales: gridColumns)
    else { return nil }
    self.init(rows: rows, columns: columns)
  }

  /// The shape of the scales of a matrix [rows, columns], rounded up.
  func grid(rows: Int, columns: Int) -> [Int] {
    [CheckedSize.ceilingQuotient(rows, self.rows), CheckedSize.ceilingQuotient(columns, self.columns)]
  }

  /// How many of `count` rows or columns have a scale together. The number of scales, rounded up, fits several sizes;
  /// of those one at most is a power of two, as published blocks are, and else it is the one that divides `count`.
  private static func extent(_ count: Int, scales: Int) -> Int? {
    guard scales >= 1, scales <= count else { return nil }
    if scales == 1 { return count }
    let least = CheckedSize.ceilingQuotient(count, scales)
    let power = 1 << (Int.bitWidth - (least - 1).leadingZeroBitCount)
    if CheckedSize.ceilingQuotient(count, power) == scales { return power }
    return count % scales == 0 ? least : nil
  }
}
