import DormouseKernels
import DormouseModel
import Testing

/// How far logits are from the goldens where weights are packed or rows are narrow: `||a - b|| / ||b||` of the middle
/// position, which a router that takes another expert here and there does not move.
///
/// Measured: the larger of both forms of attention, with the kernels of `baseline` and of `avx2`. Whoever adds a model to
/// the fixtures adds its line; whoever makes numbers worse has to change one.
struct MiddleErrors {
  let int8: Double
  let int4: Double
  let bfloat16Rows: Double
  let int8Rows: Double

  private static let measured = [
    "good-dots-full": Self(int8: 0.0367, int4: 0.270, bfloat16Rows: 0.0030, int8Rows: 0.0076),
    "good-dots-native": Self(int8: 0.0314, int4: 0.271, bfloat16Rows: 0.0020, int8Rows: 0.0052),
    "good-dots-published": Self(int8: 0.0759, int4: 0.385, bfloat16Rows: 0.0064, int8Rows: 0.0258),
    "good-dots-sliding": Self(int8: 0.0298, int4: 0.245, bfloat16Rows: 0.0034, int8Rows: 0.0076),
    "good-glm-layer-types": Self(int8: 0.0330, int4: 0.276, bfloat16Rows: 0.0042, int8Rows: 0.0068),
    "good-glm-lite": Self(int8: 0.0410, int4: 0.271, bfloat16Rows: 0.0032, int8Rows: 0.0074),
    "good-kimi-fp8": Self(int8: 0.0364, int4: 0.302, bfloat16Rows: 0.0037, int8Rows: 0.0110),
    "good-tiny": Self(int8: 0.0099, int4: 0.059, bfloat16Rows: 0.0015, int8Rows: 0.0014),
    "good-tiny-fp8": Self(int8: 0.0136, int4: 0.135, bfloat16Rows: 0.0015, int8Rows: 0.0016),
    "good-v2-f16-tied": Self(int8: 0.0328, int4: 0.296, bfloat16Rows: 0.0035, int8Rows: 0.0085),
    "good-v2-greedy": Self(int8: 0.0379, int4: 0.279, bfloat16Rows: 0.0039, int8Rows: 0.0148),
    "good-v2-group": Self(int8: 0.0324, int4: 0.261, bfloat16Rows: 0.0025, int8Rows: 0.0113),
    "good-v3-all-experts": Self(int8: 0.0209, int4: 0.150, bfloat16Rows: 0.0023, int8Rows: 0.0038),
    "good-v3-bf16-mtp": Self(int8: 0.0372, int4: 0.320, bfloat16Rows: 0.0034, int8Rows: 0.0124),
    "good-v3-dense": Self(int8: 0.0403, int4: 0.291, bfloat16Rows: 0.0040, int8Rows: 0.0131),
    "good-v3-epsilon": Self(int8: 0.0317, int4: 0.218, bfloat16Rows: 0.0032, int8Rows: 0.0079),
    "good-v3-fp8-mtp": Self(int8: 0.0365, int4: 0.254, bfloat16Rows: 0.0029, int8Rows: 0.0146),
    "good-v3-group8": Self(int8: 0.0479, int4: 0.336, bfloat16Rows: 0.0036, int8Rows: 0.0081),
    "good-v3-layer-frequency": Self(int8: 0.0256, int4: 0.212, bfloat16Rows: 0.0022, int8Rows: 0.0053),
    "good-v3-negative-bias": Self(int8: 0.0417, int4: 0.376, bfloat16Rows: 0.0035, int8Rows: 0.0104),
    "good-v3-one-token": Self(int8: 0.0254, int4: 0.422, bfloat16Rows: 0.0051, int8Rows: 0.0128),
    "good-v3-yarn-mscale": Self(int8: 0.0271, int4: 0.176, bfloat16Rows: 0.0033, int8Rows: 0.0082),
    "good-v3-yarn-plain": Self(int8: 0.0330, int4: 0.289, bfloat16Rows: 0.0033, int8Rows: 0.0080),
    "good-v31-fp8-e8m0": Self(int8: 0.0319, int4: 0.230, bfloat16Rows: 0.0032, int8Rows: 0.0144),
    "good-v31-fp8-ue8m0": Self(int8: 0.0319, int4: 0.224, bfloat16Rows: 0.0030, int8Rows: 0.0073),
  ]

  static func expect(
    _ logits: [Float], _ golden: [Float], _ model: String, vocabulary: Int, _ precision: WeightPrecision
  ) {
    expect(logits, golden, model, vocabulary, precision == .int8 ? \.int8 : \.int4)
  }

  static func expect(
    _ logits: [Float], _ golden: [Float], _ model: String, vocabulary: Int, _ rows: CacheRowType
  ) {
    expect(logits, golden, model, vocabulary, rows == .int8 ? \.int8Rows : \.bfloat16Rows)
  }

  /// Less than twice what was measured: other instruction sets round otherwise.
  private static func expect(
    _ logits: [Float], _ golden: [Float], _ model: String, _ vocabulary: Int, _ member: KeyPath<MiddleErrors, Double>
  ) {
    guard let known = measured[model]?[keyPath: member] else {
      Issue.record("\(model): no error was measured")
      return
    }
    let errors = stride(from: 0, to: golden.count, by: vocabulary).map {
      relativeError(logits[$0..<$0 + vocabulary], golden[$0..<$0 + vocabulary])
    }.sorted()
    let middle = errors[errors.count / 2]
    #expect(middle < 2 * known, "\(model), \(member): \(middle)")
  }
}
