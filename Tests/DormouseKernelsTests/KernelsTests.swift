import DormouseKernels
import DormouseSupport
import Glibc
import Testing

/// How an instruction set is listed, chosen and forced. Serial: the choice belongs to the process.
@Suite(.serialized) struct KernelsTests {
  @Test func listsWhatIsBuiltAndUsable() throws {
    #expect(Kernels.built().contains(.baseline))
    #expect(Kernels.usable().allSatisfy { Kernels.built().contains($0) })
    for set in Kernels.usable() { #expect(try Kernels.make(set).instructionSet == set) }
    #if arch(x86_64)
      #expect(Kernels.built() == [.baseline, .avx2, .avx512])
    #elseif arch(arm64)
      #expect(Kernels.built() == [.baseline, .neon])
    #endif
  }

  @Test func refusesWhatIsNotThere() {
    for set in InstructionSet.allCases where !Kernels.usable().contains(set) {
      #expect {
        try Kernels.make(set)
      } throws: {
        ($0 as? Failure)?.status == .unsupported && "\($0)".contains(set.rawValue)
      }
      #expect(throws: Failure.self) { try Kernels.force(set) }
    }
  }

  /// Instruction sets differ in how they round: without FMA a product of its own rounds, so the sum betrays which ran.
  @Test func runsTheForcedSet() throws {
    defer { try? Kernels.force(nil) }
    for set in Kernels.usable() {
      try Kernels.force(set)
      let kernels = try Kernels.selected()
      #expect(kernels.instructionSet == set)
      let x: Float = 1 + 0x1p-23
      let remainder = kernels.dot([-1, x], [1 + 0x1p-22, x], count: 2)
      #if arch(x86_64)
        #expect((remainder == 0) == (set == .baseline))
      #endif
    }
    try Kernels.force(nil)
    #expect(try Kernels.selected().instructionSet == Kernels.usable().last)
  }

  @Test func obeysTheEnvironment() throws {
    defer { unsetenv("DORMOUSE_ISA") }
    setenv("DORMOUSE_ISA", "baseline", 1)
    #expect(try Kernels.selected().instructionSet == .baseline)
    for name in ["sse9", "", "AVX2"] {
      setenv("DORMOUSE_ISA", name, 1)
      #expect {
        try Kernels.selected()
      } throws: {
        ($0 as? Failure)?.status == .unsupported && "\($0)".contains("\"\(name)\"")
      }
    }
  }

  @Test func measuresTheMachine() throws {
    let pool = try ThreadPool(threadCount: 2)
    for kernels in usableKernels {
      let speed = try MachineLimits.measureReadBandwidth(
        kernels: kernels, pool: pool, byteCount: 4 << 20, repetitions: 1)
      #expect(speed > 0.01 && speed < 10_000)
      #expect(MachineLimits.measureArithmetic(kernels: kernels, pool: pool, repetitions: 1) > 0.1)
    }
  }
}
