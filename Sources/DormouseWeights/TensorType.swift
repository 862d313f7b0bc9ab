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

  /// The type spelled `name` in a header.
  /// - Throws: `Failure(.unsupported)` that tells a type of the format which Dormouse can't read from an unknown one.
  static func named(_ name: String) throws(Failure) -> TensorType {
    if let type = TensorType(rawValue: name) { return type }
    if ["F4", "F6_E2M3", "F6_E3M2"].contains(name) {
      throw Failure(.unsupported, "type \(name) has less than one byte an element, which is not supported")
    }
    if ["C64", "F8_E4M3FNUZ", "F8_E5M2FNUZ"].contains(name) {
      throw Failure(.unsupported, "type \(name) is not supported")
    }
    let known = allCases.map(\.rawValue).joined(separator: ", ")
    throw Failure(.unsupported, "unknown type \(Excerpt.name(name)); known are \(known)")
  }
}

/// What a header says about one tensor.
public struct TensorDescription: Sendable, Equatable {
  public let name: String
  public let type: TensorType
  /// Row-major; empty for a scalar.
  public let shape: [Int]
  /// The file in `Checkpoint.files`.
  public let fileIndex: Int
  /// Bytes from the start of the file.
  public let offset: Int
  /// The product of `shape` and the bytes of an element.
  public let byteCount: Int
}
