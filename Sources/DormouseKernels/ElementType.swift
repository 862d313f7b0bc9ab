internal import CPlatform

/// How one number of a weight matrix or a cache row is stored.
public enum ElementType: Sendable, CaseIterable {
  case float32
  case float16
  case bfloat16
  /// One sign, four exponent (bias 7) and three mantissa bits; no infinities, 0x7F and 0xFF are NaN ("e4m3fn").
  case float8E4M3

  public var byteCount: Int { platform_element_byte_count(platform) }

  /// The number of the type in `matrix.h`.
  var platform: Int32 {
    switch self {
    case .float32: Int32(PLATFORM_TYPE_FLOAT32)
    case .float16: Int32(PLATFORM_TYPE_FLOAT16)
    case .bfloat16: Int32(PLATFORM_TYPE_BFLOAT16)
    case .float8E4M3: Int32(PLATFORM_TYPE_FLOAT8_E4M3)
    }
  }
}
