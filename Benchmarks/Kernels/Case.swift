import DormouseKernels
import DormouseSupport

/// What one pass of a case reads and computes.
struct Work {
  /// Weights, or rows of the cache, in bytes.
  var bytes: Double
  /// Float32 operations; a multiplication and an addition count as two.
  var operations: Double
}

/// One figure to measure.
struct Case {
  /// Parts from general to particular, with slashes between them: "vector/bfloat16/1408x2048/x1".
  var name: String
  var work: Work
  /// Makes what the case needs and returns one pass.
  var prepare: () throws(Failure) -> (Kernels, ThreadPool) -> Void

  static func all(setBytes: Int) -> [Case] {
    ProductCases(setBytes: setBytes).all + AttentionCases(setBytes: setBytes).all + TowerCases().all
  }
}

extension ElementType {
  /// The name in the list of cases.
  var name: String { "\(self)" }
}

/// Most operations of a pass where a set of weights would take more: a pass should not last seconds.
let operationsPerPass = 1e10

/// How many of a thing of `bytes` and `operations` fill a pass: as many as hold `setBytes`, unless that takes too long.
func countPerPass(bytes: Int, operations: Double, setBytes: Int) -> Int {
  let held = CheckedSize.ceilingQuotient(setBytes, max(1, bytes))
  let worthwhile = Int((operationsPerPass / max(1, operations)).rounded(.up))
  return max(2, min(held, worthwhile))
}

/// Numbers that are the same in every run: xorshift64 (Marsaglia 2003).
struct RandomBits {
  private var state: UInt64 = 0x9E37_79B9_7F4A_7C15

  mutating func next() -> UInt64 {
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return state
  }

  /// Fills `bytes` with values of `type` between -1 and 1, none of them NaN; of 64 bits at a time.
  mutating func fill(_ bytes: UnsafeMutableRawBufferPointer, with type: ElementType) {
    let (kept, set) = RandomBits.masks[type.name] ?? (.max, 0)
    for word in bytes.bindMemory(to: UInt64.self).indices {
      bytes.storeBytes(of: next() & kept | set, toByteOffset: word * 8, as: UInt64.self)
    }
  }

  /// The bits that stay random and those that are set: any sign and mantissa, an exponent that keeps below 1. A type
  /// that is not listed takes any bits.
  private static let masks: [String: (kept: UInt64, set: UInt64)] = [
    "float32": (0x807F_FFFF_807F_FFFF, 0x3F00_0000_3F00_0000),
    "float16": (0x83FF_83FF_83FF_83FF, 0x3800_3800_3800_3800),
    "bfloat16": (0x807F_807F_807F_807F, 0x3F00_3F00_3F00_3F00),
    "float8E4M3": (0xBFBF_BFBF_BFBF_BFBF, 0),
  ]
}
