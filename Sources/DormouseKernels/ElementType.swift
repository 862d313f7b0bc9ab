/// How one number of a weight matrix or a cache row is stored.
public enum ElementType: Sendable, CaseIterable {
  case float32
  case float16
  case bfloat16
  /// One sign, four exponent (bias 7) and three mantissa bits; no infinities, 0x7F and 0xFF are NaN ("e4m3fn").
  case float8E4M3

  public var byteCount: Int {
    switch self {
    case .float32: 4
    case .float16, .bfloat16: 2
    case .float8E4M3: 1
    }
  }
}
