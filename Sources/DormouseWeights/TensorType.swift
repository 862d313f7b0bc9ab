internal import DormouseSupport

/// The element types of a safetensors file that Dormouse reads; the raw values are the spellings in the header.
///
/// All are stored in little-endian order.
public enum TensorType: String, Sendable, CaseIterable {
  case float64 = "F64"
  case float32 = "F32"
  case float16 = "F16"
  case bfloat16 = "BF16"
  case float8E4M3 = "F8_E4M3"
  case float8E5M2 = "F8_E5M2"
  case float8E8M0 = "F8_E8M0"
  case int64 = "I64"
  case int32 = "I32"
  case int16 = "I16"
  case int8 = "I8"
  case uint64 = "U64"
  case uint32 = "U32"
  case uint16 = "U16"
  case uint8 = "U8"
  case bool = "BOOL"

  /// Bytes of one element.
  public var byteCount: Int {
    switch self {
    case .float64, .int64, .uint64: 8
    case .float32, .int32, .uint32: 4
    case .float16, .bfloat16, .int16, .uint16: 2
    case .float8E4M3, .float8E5M2, .float8E8M0, .int8, .uint8, .bool: 1
    }
  }
}

/// What a header says about a tensor of a type that Dormouse does not read. A model that does not use it may have it.
public struct UnreadTensor: Sendable, Equatable {
  public let name: String
  /// As the header spells it.
  public let typeName: String
  /// The file in `Checkpoint.files`.
  public let fileIndex: Int
  /// Bytes from the start of the file.
  public let offset: Int
  /// By its place in the file.
  public let byteCount: Int

  /// Why it can't be used; tells a type of the format from an unknown one.
  public var reason: String {
    switch typeName {
    case "F4", "F6_E2M3", "F6_E3M2": "type \(typeName) has less than one byte an element, which is not supported"
    case "C64", "F8_E4M3FNUZ", "F8_E5M2FNUZ": "type \(typeName) is not supported"
    default:
      "unknown type \(Excerpt.name(typeName)); known are "
        + TensorType.allCases.map(\.rawValue).joined(separator: ", ")
    }
  }

  /// Bits of an element; nil where the type is unknown.
  var elementBitCount: Int? {
    switch typeName {
    case "F4": 4
    case "F6_E2M3", "F6_E3M2": 6
    case "F8_E4M3FNUZ", "F8_E5M2FNUZ": 8
    case "C64": 64
    default: nil
    }
  }
}
