internal import CPlatform
internal import DormouseCPUBaseline
#if arch(x86_64)
  internal import DormouseCPUAVX2
  internal import DormouseCPUAVX512
#elseif arch(arm64)
  internal import DormouseCPUNEON
#endif

typealias Floats = UnsafePointer<Float>
typealias MutableFloats = UnsafeMutablePointer<Float>

/// The functions of one instruction set, described where they are written (`Sources/CPUKernels`).
///
/// Each target that holds an instruction set compiles the same sources with other flags, so its functions have the same
/// names and types. Nothing but pointers and numbers crosses, and nothing is inlined across.
struct KernelTable: Sendable {
  let multiplyVectors:
    @Sendable (platform_matrix, Int, Int, Int, Floats, Int, Int, MutableFloats, Int, MutableFloats) -> Void
  let multiplyVectorsScratch: @Sendable (Int, Int) -> Int
  let multiplyMatrix: @Sendable (platform_matrix, Int, Int, Floats, Int, Int, MutableFloats, Int, MutableFloats) -> Void
  let multiplyMatrixScratch: @Sendable (Int, Int) -> Int
  let multiplyPanels: @Sendable (platform_panels, Int, Int, platform_activations, Int, MutableFloats, Int) -> Void
  let packPanel: @Sendable (Int32, Int, Floats, Int, UnsafeMutableRawPointer, MutableFloats) -> Void
  let packPanelScratch: @Sendable (Int) -> Int
  let unpackRow: @Sendable (platform_panels, Int, Int, MutableFloats) -> Void
  let unpackTransposed: @Sendable (platform_panels, Int, Int, MutableFloats, Int) -> Void
  let quantizeActivations:
    @Sendable (Floats, Int, UnsafeMutablePointer<Int8>, MutableFloats, UnsafeMutablePointer<Int32>) -> Void
  let leastMatrixCount: @Sendable (Int) -> Int
  let packActivations: @Sendable (Floats, Int, Int, Int, MutableFloats) -> Void
  let multiplyPacked: @Sendable (platform_matrix, Int, Int, Floats, Int, MutableFloats, Int, MutableFloats) -> Void
  let multiplyPackedScratch: @Sendable () -> Int
  let multiplyTransposed: @Sendable (platform_matrix, Int, Int, Int, Floats, MutableFloats) -> Void
  let dequantize: @Sendable (platform_matrix, Int, MutableFloats) -> Void
  let dot: @Sendable (Floats, Floats, Int) -> Float
  let addScaled: @Sendable (MutableFloats, Float, Floats, Int) -> Void
  let rmsNorm: @Sendable (Floats, Floats, Float, Int, MutableFloats) -> Void
  let layerNorm: @Sendable (Floats, Floats, Floats, Float, Int, MutableFloats) -> Void
  let siluMultiply: @Sendable (MutableFloats, Floats, Int) -> Void
  let gelu: @Sendable (MutableFloats, Int) -> Void
  let geluTanh: @Sendable (MutableFloats, Int) -> Void
  let softmax: @Sendable (MutableFloats, Int) -> Void
  let storeRows: @Sendable (Floats, Int, Int32, Int, Int, UnsafeMutableRawPointer) -> Void
  let loadRows: @Sendable (UnsafeRawPointer, Int32, Int, Int, Int, MutableFloats, Int) -> Void
  let transpose: @Sendable (Floats, Int, Int, Int, MutableFloats, Int) -> Void
  let multiplyOuter: @Sendable (Floats, Int, Int, Int, Floats, Int, Int, Int, MutableFloats, Int, Bool) -> Void
  let attendLatent:
    @Sendable (
      Floats, Int, UnsafePointer<UnsafeRawPointer>, Int, Int32, UnsafePointer<Int32>?, Int, Int, Int, Int, Int, Float,
      MutableFloats, Int, MutableFloats
    ) -> Void
  let combineSpans: @Sendable (Floats, Int, Int, Int, Int, Int, MutableFloats) -> Void
  let attendTile:
    @Sendable (
      Floats, Int, Int, Int, Floats, Int, Int, Int, Floats, Int, Int, UnsafePointer<UInt64>?, Int, MutableFloats,
      MutableFloats, MutableFloats, Int, MutableFloats
    ) -> Void
  let finishAttention: @Sendable (MutableFloats, Int, Int, Int, Floats) -> Void
  let sumRectified: @Sendable (Floats, Int, Int, Floats, Int, MutableFloats) -> Void
  let readAll: @Sendable (UnsafeRawPointer, Int) -> UInt64
  let multiplyAndAdd: @Sendable (Int, Float, Float) -> Float
  let vectorLength: @Sendable () -> Int
}

extension KernelTable {
  /// The table of `set`, or nil when this build does not hold it.
  static func table(of set: InstructionSet) -> KernelTable? {
    #if arch(x86_64)
      switch set {
      case .baseline: baseline
      case .avx2: avx2
      case .avx512: avx512
      case .neon: nil
      }
    #elseif arch(arm64)
      switch set {
      case .baseline: baseline
      case .neon: neon
      case .avx2, .avx512: nil
      }
    #else
      set == .baseline ? baseline : nil
    #endif
  }

  /// Bytes of a panel: the layout is the same for every set.
  static let panelByteCount: @Sendable (Int32, Int) -> Int = DormouseCPUBaseline.panelByteCount

  private static let baseline = KernelTable(
    multiplyVectors: DormouseCPUBaseline.multiplyVectors,
    multiplyVectorsScratch: DormouseCPUBaseline.multiplyVectorsScratch,
    multiplyMatrix: DormouseCPUBaseline.multiplyMatrix,
    multiplyMatrixScratch: DormouseCPUBaseline.multiplyMatrixScratch,
    multiplyPanels: DormouseCPUBaseline.multiplyPanels,
    packPanel: DormouseCPUBaseline.packPanel,
    packPanelScratch: DormouseCPUBaseline.packPanelScratch,
    unpackRow: DormouseCPUBaseline.unpackRow,
    unpackTransposed: DormouseCPUBaseline.unpackTransposed,
    quantizeActivations: DormouseCPUBaseline.quantizeActivations,
    leastMatrixCount: DormouseCPUBaseline.leastMatrixCount,
    packActivations: DormouseCPUBaseline.packActivations,
    multiplyPacked: DormouseCPUBaseline.multiplyPacked,
    multiplyPackedScratch: DormouseCPUBaseline.multiplyPackedScratch,
    multiplyTransposed: DormouseCPUBaseline.multiplyTransposed,
    dequantize: DormouseCPUBaseline.dequantize,
    dot: DormouseCPUBaseline.dot,
    addScaled: DormouseCPUBaseline.addScaled,
    rmsNorm: DormouseCPUBaseline.rmsNorm,
    layerNorm: DormouseCPUBaseline.layerNorm,
    siluMultiply: DormouseCPUBaseline.siluMultiply,
    gelu: DormouseCPUBaseline.gelu,
    geluTanh: DormouseCPUBaseline.geluTanh,
    softmax: DormouseCPUBaseline.softmax,
    storeRows: DormouseCPUBaseline.storeRows,
    loadRows: DormouseCPUBaseline.loadRows,
    transpose: DormouseCPUBaseline.transpose,
    multiplyOuter: DormouseCPUBaseline.multiplyOuter,
    attendLatent: DormouseCPUBaseline.attendLatent,
    combineSpans: DormouseCPUBaseline.combineSpans,
    attendTile: DormouseCPUBaseline.attendTile,
    finishAttention: DormouseCPUBaseline.finishAttention,
    sumRectified: DormouseCPUBaseline.sumRectified,
    readAll: DormouseCPUBaseline.readAll,
    multiplyAndAdd: DormouseCPUBaseline.multiplyAndAdd,
    vectorLength: DormouseCPUBaseline.vectorLength)

  #if arch(x86_64)
    private static let avx2 = KernelTable(
      multiplyVectors: DormouseCPUAVX2.multiplyVectors,
      multiplyVectorsScratch: DormouseCPUAVX2.multiplyVectorsScratch,
      multiplyMatrix: DormouseCPUAVX2.multiplyMatrix,
      multiplyMatrixScratch: DormouseCPUAVX2.multiplyMatrixScratch,
      multiplyPanels: DormouseCPUAVX2.multiplyPanels,
      packPanel: DormouseCPUAVX2.packPanel,
      packPanelScratch: DormouseCPUAVX2.packPanelScratch,
      unpackRow: DormouseCPUAVX2.unpackRow,
      unpackTransposed: DormouseCPUAVX2.unpackTransposed,
      quantizeActivations: DormouseCPUAVX2.quantizeActivations,
      leastMatrixCount: DormouseCPUAVX2.leastMatrixCount,
      packActivations: DormouseCPUAVX2.packActivations,
      multiplyPacked: DormouseCPUAVX2.multiplyPacked,
      multiplyPackedScratch: DormouseCPUAVX2.multiplyPackedScratch,
      multiplyTransposed: DormouseCPUAVX2.multiplyTransposed,
      dequantize: DormouseCPUAVX2.dequantize,
      dot: DormouseCPUAVX2.dot,
      addScaled: DormouseCPUAVX2.addScaled,
      rmsNorm: DormouseCPUAVX2.rmsNorm,
      layerNorm: DormouseCPUAVX2.layerNorm,
      siluMultiply: DormouseCPUAVX2.siluMultiply,
      gelu: DormouseCPUAVX2.gelu,
      geluTanh: DormouseCPUAVX2.geluTanh,
      softmax: DormouseCPUAVX2.softmax,
      storeRows: DormouseCPUAVX2.storeRows,
      loadRows: DormouseCPUAVX2.loadRows,
      transpose: DormouseCPUAVX2.transpose,
      multiplyOuter: DormouseCPUAVX2.multiplyOuter,
      attendLatent: DormouseCPUAVX2.attendLatent,
      combineSpans: DormouseCPUAVX2.combineSpans,
      attendTile: DormouseCPUAVX2.attendTile,
      finishAttention: DormouseCPUAVX2.finishAttention,
      sumRectified: DormouseCPUAVX2.sumRectified,
      readAll: DormouseCPUAVX2.readAll,
      multiplyAndAdd: DormouseCPUAVX2.multiplyAndAdd,
      vectorLength: DormouseCPUAVX2.vectorLength)

    private static let avx512 = KernelTable(
      multiplyVectors: DormouseCPUAVX512.multiplyVectors,
      multiplyVectorsScratch: DormouseCPUAVX512.multiplyVectorsScratch,
      multiplyMatrix: DormouseCPUAVX512.multiplyMatrix,
      multiplyMatrixScratch: DormouseCPUAVX512.multiplyMatrixScratch,
      multiplyPanels: DormouseCPUAVX512.multiplyPanels,
      packPanel: DormouseCPUAVX512.packPanel,
      packPanelScratch: DormouseCPUAVX512.packPanelScratch,
      unpackRow: DormouseCPUAVX512.unpackRow,
      unpackTransposed: DormouseCPUAVX512.unpackTransposed,
      quantizeActivations: DormouseCPUAVX512.quantizeActivations,
      leastMatrixCount: DormouseCPUAVX512.leastMatrixCount,
      packActivations: DormouseCPUAVX512.packActivations,
      multiplyPacked: DormouseCPUAVX512.multiplyPacked,
      multiplyPackedScratch: DormouseCPUAVX512.multiplyPackedScratch,
      multiplyTransposed: DormouseCPUAVX512.multiplyTransposed,
      dequantize: DormouseCPUAVX512.dequantize,
      dot: DormouseCPUAVX512.dot,
      addScaled: DormouseCPUAVX512.addScaled,
      rmsNorm: DormouseCPUAVX512.rmsNorm,
      layerNorm: DormouseCPUAVX512.layerNorm,
      siluMultiply: DormouseCPUAVX512.siluMultiply,
      gelu: DormouseCPUAVX512.gelu,
      geluTanh: DormouseCPUAVX512.geluTanh,
      softmax: DormouseCPUAVX512.softmax,
      storeRows: DormouseCPUAVX512.storeRows,
      loadRows: DormouseCPUAVX512.loadRows,
      transpose: DormouseCPUAVX512.transpose,
      multiplyOuter: DormouseCPUAVX512.multiplyOuter,
      attendLatent: DormouseCPUAVX512.attendLatent,
      combineSpans: DormouseCPUAVX512.combineSpans,
      attendTile: DormouseCPUAVX512.attendTile,
      finishAttention: DormouseCPUAVX512.finishAttention,
      sumRectified: DormouseCPUAVX512.sumRectified,
      readAll: DormouseCPUAVX512.readAll,
      multiplyAndAdd: DormouseCPUAVX512.multiplyAndAdd,
      vectorLength: DormouseCPUAVX512.vectorLength)
  #elseif arch(arm64)
    private static let neon = KernelTable(
      multiplyVectors: DormouseCPUNEON.multiplyVectors,
      multiplyVectorsScratch: DormouseCPUNEON.multiplyVectorsScratch,
      multiplyMatrix: DormouseCPUNEON.multiplyMatrix,
      multiplyMatrixScratch: DormouseCPUNEON.multiplyMatrixScratch,
      multiplyPanels: DormouseCPUNEON.multiplyPanels,
      packPanel: DormouseCPUNEON.packPanel,
      packPanelScratch: DormouseCPUNEON.packPanelScratch,
      unpackRow: DormouseCPUNEON.unpackRow,
      unpackTransposed: DormouseCPUNEON.unpackTransposed,
      quantizeActivations: DormouseCPUNEON.quantizeActivations,
      leastMatrixCount: DormouseCPUNEON.leastMatrixCount,
      packActivations: DormouseCPUNEON.packActivations,
      multiplyPacked: DormouseCPUNEON.multiplyPacked,
      multiplyPackedScratch: DormouseCPUNEON.multiplyPackedScratch,
      multiplyTransposed: DormouseCPUNEON.multiplyTransposed,
      dequantize: DormouseCPUNEON.dequantize,
      dot: DormouseCPUNEON.dot,
      addScaled: DormouseCPUNEON.addScaled,
      rmsNorm: DormouseCPUNEON.rmsNorm,
      layerNorm: DormouseCPUNEON.layerNorm,
      siluMultiply: DormouseCPUNEON.siluMultiply,
      gelu: DormouseCPUNEON.gelu,
      geluTanh: DormouseCPUNEON.geluTanh,
      softmax: DormouseCPUNEON.softmax,
      storeRows: DormouseCPUNEON.storeRows,
      loadRows: DormouseCPUNEON.loadRows,
      transpose: DormouseCPUNEON.transpose,
      multiplyOuter: DormouseCPUNEON.multiplyOuter,
      attendLatent: DormouseCPUNEON.attendLatent,
      combineSpans: DormouseCPUNEON.combineSpans,
      attendTile: DormouseCPUNEON.attendTile,
      finishAttention: DormouseCPUNEON.finishAttention,
      sumRectified: DormouseCPUNEON.sumRectified,
      readAll: DormouseCPUNEON.readAll,
      multiplyAndAdd: DormouseCPUNEON.multiplyAndAdd,
      vectorLength: DormouseCPUNEON.vectorLength)
  #endif
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
