internal import CPlatform

/// The processor features a copy of the kernels is compiled for.
public enum InstructionSet: String, Sendable, CaseIterable {
  /// What every processor of the architecture has: SSE2 on x86-64.
  case baseline
  /// AVX2, FMA and F16C.
  case avx2
  /// AVX-512 F, BW, DQ, VL, VNNI and BF16.
  case avx512
  /// Arm Advanced SIMD with the dot product instructions.
  case neon

  /// Whether the processor this runs on has it.
  var isUsable: Bool {
    let features = platform_cpu_features()
    return switch self {
    case .baseline: true
    case .avx2: features & UInt32(PLATFORM_CPU_AVX2_FMA_F16C) != 0
    case .avx512: features & UInt32(PLATFORM_CPU_AVX512_VNNI_BF16) != 0
    case .neon: features & UInt32(PLATFORM_CPU_NEON_DOTPROD) != 0
    }
  }
}
