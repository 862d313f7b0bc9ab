public import DormouseSupport

/// FP8 E4M3 weights with one scale a block.
public struct BlockQuantization: Sendable, Equatable {
  public let rowBlock: Int
  public let columnBlock: Int
  /// scale_fmt "ue8m0": scales are powers of two, of one byte where the file says so.
  public let powerOfTwoScales: Bool

  /// Reads `quantization_config` of a `config.json`; nil where there is none.
  /// - Throws: `Failure` naming the field, its value and what is supported.
  public init?(document: JSONFields) throws(Failure) {
    guard let fields = try document.fields("quantization_config") else { return nil }
    try Self.require(fields, "quant_method", "fp8", isOptional: false)
    try Self.require(fields, "fmt", "e4m3", isOptional: true)
    try Self.require(fields, "activation_scheme", "dynamic", isOptional: true)
    guard let block = try fields.optionalArray("weight_block_size") else {
      throw fields.unsupported("weight_block_size", .null, supported: "[rows, columns] of a block")
    }
    let sizes = block.compactMap { $0.integerValue.flatMap { Int(exactly: $0) } }
    guard block.count == 2, sizes.count == 2, sizes.allSatisfy({ (1...65536).contains($0) }) else {
      throw Failure(
        .malformed,
        "\(fields.file): quantization_config.weight_block_size is \(JSON.array(Array(block.prefix(4))).text());"
          + " expected two integers from 1 to 65536")
    }
    var powerOfTwo = false
    switch try fields.optionalString("scale_fmt") ?? "float" {
    case "float": break
    case "ue8m0": powerOfTwo = true
    case let name: throw fields.unsupported("scale_fmt", .string(name), supported: "float, ue8m0")
    }
    rowBlock = sizes[0]
    columnBlock = sizes[1]
    powerOfTwoScales = powerOfTwo
  }

  private static func require(
    _ fields: JSONFields, _ key: String, _ supported: String, isOptional: Bool
  ) throws(Failure) {
    let value = isOptional ? try fields.optionalString(key) ?? supported : try fields.string(key)
    guard value == supported else { throw fields.unsupported(key, .string(value), supported: supported) }
  }
}
