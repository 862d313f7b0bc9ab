import DormouseEngine
import DormouseSupport
import Glibc
import Testing

@testable import DormouseKernels

/// Proves which instruction set the tests of this process run on: the one that `DORMOUSE_ISA` names, else the best.
/// `Tests/steps/instruction-sets.sh` runs the bundle once for each set and looks for what this prints.
@Suite struct InstructionSetTests {
  @Test func runsOnTheSetAskedFor() throws {
    let asked = getenv("DORMOUSE_ISA").map { String(cString: $0) } ?? Kernels.usable().last?.rawValue
    let kernels = try Kernels.selected()
    #expect(kernels.instructionSet.rawValue == asked)
    #expect(isCodeOf(kernels.instructionSet, kernels))
    let engine = try Engine(path: Fixtures.shippedModel, options: EngineOptions())
    #expect(try engine.info()["instruction_set"]?.stringValue == asked)
    print("instruction set of this run: \(kernels.instructionSet.rawValue)")
  }

  /// The name alone proves nothing: the code must be that set's own.
  @Test func everySetIsItsOwnCode() throws {
    for set in Kernels.usable() {
      let kernels = try Kernels.make(set)
      for other in Kernels.usable() { #expect(isCodeOf(other, kernels) == (other == set), "\(set) as \(other)") }
    }
  }

  /// Sets differ in how many floats a register holds and in whether a product is rounded before it is added: here
  /// (1 + 2^-23)^2 = 1 + 2^-22 + 2^-46, whose last term only a fused multiplication keeps.
  private func isCodeOf(_ set: InstructionSet, _ kernels: Kernels) -> Bool {
    let x: Float = 1 + 0x1p-23
    let isFused = kernels.dot([-1, x], [1 + 0x1p-22, x], count: 2) != 0
    let length = kernels.table.vector_length()
    return switch set {
    #if arch(x86_64)
      case .baseline: !isFused && length == 4
      case .avx2: isFused && length == 8
      case .avx512: isFused && length == 16
      case .neon: false
    #else
      // Every 64-bit Arm processor has fused multiplications, and registers are of one length.
      case .baseline, .neon: kernels.instructionSet == set && isFused && length == 4
      case .avx2, .avx512: false
    #endif
    }
  }
}
