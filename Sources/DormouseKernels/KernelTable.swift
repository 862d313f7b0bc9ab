internal import CPlatform
internal import DormouseCPUBaseline
#if arch(x86_64)
  internal import DormouseCPUAVX2
  internal import DormouseCPUAVX512
#elseif arch(arm64)
  internal import DormouseCPUNEON
#endif

extension InstructionSet {
  /// The functions of this set, or nil when this build does not hold them.
  ///
  /// Each target that holds an instruction set compiles the same sources (`Sources/CPUKernels`) with other flags. Nothing
  /// but this table crosses, and nothing is inlined across.
  var table: platform_kernels? {
    switch self {
    case .baseline: DormouseCPUBaseline.kernels()
    #if arch(x86_64)
      case .avx2: DormouseCPUAVX2.kernels()
      case .avx512: DormouseCPUAVX512.kernels()
      case .neon: nil
    #elseif arch(arm64)
      case .neon: DormouseCPUNEON.kernels()
      case .avx2, .avx512: nil
    #else
      case .avx2, .avx512, .neon: nil
    #endif
    }
  }
}
