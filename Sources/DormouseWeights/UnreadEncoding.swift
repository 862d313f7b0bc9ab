internal import DormouseSupport

/// The encodings that published models have and Dormouse does not read: they are refused by name here and nowhere else.
/// One that is learnt leaves these lists for `TensorEncoding`.
enum UnreadEncoding {
  /// By `quant_method` of `quantization_config`.
  private static let methods: [(name: String, meaning: String)] = [
    ("awq", "int4 in groups with zero points"),
    ("gptq", "int4 in groups with zero points"),
    ("bitsandbytes", "int8 or nf4 with a codebook"),
    ("mxfp4", "fp4 with an e8m0 scale for 32 numbers"),
  ]
  /// By `format` of `quantization_config` where the method is compressed-tensors.
  private static let formats: [(name: String, meaning: String)] = [
    ("pack-quantized", "int4 or int8 in groups, packed into int32"),
    ("int-quantized", "int8 with a scale for each channel"),
    ("float-quantized", "fp8 with a scale for each tensor or channel"),
    ("mxfp4-pack-quantized", "fp4 with an e8m0 scale for 32 numbers"),
    ("nvfp4-pack-quantized", "fp4 with an fp8 scale for 16 numbers"),
  ]
  /// By the tensor that a file has in the place of `X.weight`, or beside it.
  private static let companions: [(ending: String, meaning: String)] = [
    ("weight_packed", "int4 or fp4 of compressed-tensors"),
    ("qweight", "int4 of awq or gptq"),
    ("weight.absmax", "nf4 or fp4 of bitsandbytes"),
    ("SCB", "int8 of bitsandbytes"),
  ]

  /// Why a model with this `quant_method` can't be read.
  /// - Throws: `Failure(.malformed)` for a `format` that is no string.
  static func refusal(ofMethod method: String, in fields: JSONFields) throws(Failure) -> Failure {
    guard method == "compressed-tensors", let format = try fields.optionalString("format") else {
      return fields.unsupported(
        "quant_method", .string(method), meaning: meaning(of: method, methods), supported: "fp8")
    }
    return fields.unsupported(
      "format", .string(format), meaning: meaning(of: format, formats), supported: "quant_method fp8")
  }

  /// Why a model whose routed experts are of another type than its other weights can't be read.
  static func refusal(ofExperts type: String, in document: JSONFields) -> Failure {
    document.unsupported(
      "expert_dtype", .string(type), meaning: "two numbers a byte, an e8m0 scale for 32 of them", supported: "fp8")
  }

  /// What is wrong with a weight that is missing, or of another type or shape than its name lets expect: the encoding that
  /// the tensors beside it tell; nil where they tell none.
  static func refusal(ofWeight name: String, in checkpoint: Checkpoint) -> Failure? {
    let base = name.hasSuffix(".weight") ? String(name.dropLast("weight".count)) : name + "."
    for (ending, meaning) in companions {
      guard let companion = checkpoint.record(of: base + ending) else { continue }
      return checkpoint.wrong(companion, "says that \(name) is \(meaning), which is not supported", .unsupported)
    }
    guard let weight = checkpoint.record(of: name), [.int8, .uint8].contains(weight.type),
      checkpoint.has(base + "scale")
    else { return nil }
    return checkpoint.wrong(
      weight, "has type \(weight.type.rawValue) and \(base)scale beside it: fp4, which is not supported", .unsupported)
  }

  private static func meaning(of name: String, _ list: [(name: String, meaning: String)]) -> String? {
    list.first { $0.name == name }?.meaning
  }
}
