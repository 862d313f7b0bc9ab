internal import CPlatform
internal import DormouseCPUBaseline

typealias Floats = UnsafePointer<Float>
typealias MutableFloats = UnsafeMutablePointer<Float>

/// The functions of one instruction set. Each target that holds one compiles the same sources, so its functions have
/// the same names and types; nothing but pointers and numbers crosses, and nothing is inlined across.
struct KernelTable: Sendable {
  let multiply: @Sendable (platform_matrix, Int, Int, Floats, Int, Int, MutableFloats, Int) -> Void
  let multiplyTransposed: @Sendable (platform_matrix, Int, Int, Floats, MutableFloats) -> Void
  let dequantize: @Sendable (platform_matrix, Int, MutableFloats) -> Void
  let dot: @Sendable (Floats, Floats, Int) -> Float
  let addScaled: @Sendable (MutableFloats, Float, Floats, Int) -> Void
  let rmsNorm: @Sendable (Floats, Floats, Float, Int, MutableFloats) -> Void
  let siluMultiply: @Sendable (MutableFloats, Floats, Int) -> Void
  let softmax: @Sendable (MutableFloats, Int) -> Void
  let attendLatent:
    @Sendable (Floats, Int, UnsafeRawPointer, Int32, Int, Int, Int, Int, Float, MutableFloats) -> Void
}

extension KernelTable {
  /// The table of `set`, or nil when this build does not hold it.
  static func table(of set: InstructionSet) -> KernelTable? {
    switch set {
    case .baseline: baseline
    default: nil
    }
  }

  private static let baseline = KernelTable(
    multiply: DormouseCPUBaseline.multiply, multiplyTransposed: DormouseCPUBaseline.multiplyTransposed,
    dequantize: DormouseCPUBaseline.dequantize, dot: DormouseCPUBaseline.dot,
    addScaled: DormouseCPUBaseline.addScaled, rmsNorm: DormouseCPUBaseline.rmsNorm,
    siluMultiply: DormouseCPUBaseline.siluMultiply, softmax: DormouseCPUBaseline.softmax,
    attendLatent: DormouseCPUBaseline.attendLatent)
}

extension WeightMatrix {
  /// The same matrix as the kernels see it.
  var platform: platform_matrix {
    var result = platform_matrix()
    result.data = data
    result.columns = columns
    result.type = elementType.platform
    guard let scales else { return result }
    result.scales = scales.data
    result.scale_type =
      switch scales.storage {
      case .float32: Int32(PLATFORM_SCALE_FLOAT32)
      case .float8E8M0: Int32(PLATFORM_SCALE_E8M0)
      }
    result.scale_columns = scales.columns
    result.row_block = max(1, scales.rowBlock)
    result.column_block = max(1, scales.columnBlock)
    result.first_row = scales.firstRow
    return result
  }
}

extension ElementType {
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
