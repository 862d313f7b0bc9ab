import DormouseSupport
import Glibc
import Testing

@testable import DormouseKernels

/// How an instruction set is listed, chosen and forced. The choice of the process is left alone: other tests run beside
/// these, and `make test` counts on what they run on.
@Suite struct KernelsTests {
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

  @Test func refusesWhatIsNotThere() throws {
    for set in InstructionSet.allCases where !Kernels.usable().contains(set) {
      #expect {
        try Kernels.make(set)
      } throws: {
        ($0 as? Failure)?.status == .unsupported && "\($0)".contains(set.rawValue)
      }
      let choice = InstructionSetChoice()
      #expect(throws: Failure.self) { try choice.force(set) }
      #expect(try choice.selected(by: nil).instructionSet == Kernels.usable().last)
    }
  }

  /// Instruction sets differ in how they round: without FMA a product of its own rounds, so the sum betrays which ran.
  @Test func runsTheForcedSet() throws {
    let choice = InstructionSetChoice()
    for set in Kernels.usable() {
      try choice.force(set)
      let kernels = try choice.selected(by: "baseline")
      #expect(kernels.instructionSet == set)
      let x: Float = 1 + 0x1p-23
      let remainder = kernels.dot([-1, x], [1 + 0x1p-22, x], count: 2)
      #if arch(x86_64)
        #expect((remainder == 0) == (set == .baseline))
      #endif
    }
    try choice.force(nil)
    #expect(try choice.selected(by: nil).instructionSet == Kernels.usable().last)
  }

  @Test func obeysTheEnvironment() throws {
    let choice = InstructionSetChoice()
    #expect(try choice.selected(by: nil).instructionSet == Kernels.usable().last)
    for set in Kernels.usable() { #expect(try choice.selected(by: set.rawValue).instructionSet == set) }
    for name in ["sse9", "", "AVX2"] {
      #expect {
        try choice.selected(by: name)
      } throws: {
        ($0 as? Failure)?.status == .unsupported && "\($0)".contains("\"\(name)\"")
      }
    }
  }

  /// What a speed is measured with is done: no read and no operation can be left out.
  @Test func measuredWorkIsDone() {
    #expect(!usableKernels.isEmpty)
    for table in usableKernels.map(\.table) {
      var bytes = [UInt8](repeating: 0x5A, count: 1 << 14)
      let all = table.read_all(bytes, bytes.count)
      for place in Array(stride(from: 0, to: bytes.count, by: 61)) + [bytes.count - 1] {
        bytes[place] ^= 1 << UInt8(place & 7)
        #expect(table.read_all(bytes, bytes.count) != all, "byte \(place)")
        bytes[place] ^= 1 << UInt8(place & 7)
      }
      // Twelve numbers, k = 0 to 11, become k / 8 + 7 / 4, in each place of a vector.
      #expect(table.multiply_and_add(3, 0.5, 1) == 29.25 * Float(table.vector_length()))
    }
  }

  /// A speed is work over time: of the time that passes meanwhile at most, and no faster than any processor of the day,
  /// whose cores read 128 bytes and do four vectors' multiplications and additions in each of six billion cycles a second.
  @Test func speedsAreWorkOverTime() throws {
    let pool = try ThreadPool(threadCount: 2)
    let byteCount = 4 << 20
    for kernels in usableKernels {
      let start = Clock.now()
      let reading = try MachineLimits.measureReadBandwidth(
        kernels: kernels, pool: pool, byteCount: byteCount, repetitions: 3)
      // Of three passes two take as long as the one in the middle, or longer.
      #expect(2 * Double(byteCount) / (reading * 1e9) <= Clock.now() - start)
      #expect(reading <= 2 * 128 * 6)
      let between = Clock.now()
      let arithmetic = MachineLimits.measureArithmetic(kernels: kernels, pool: pool, repetitions: 1)
      let lanes = Double(kernels.table.vector_length())
      #expect(2 * Double(24 << 20) * lanes / (arithmetic * 1e9) <= Clock.now() - between)
      #expect(arithmetic <= 2 * 8 * lanes * 6)
    }
  }

  /// A host may call from the destructors of its own thread-specific data, after the kernels' scratch memory was freed.
  @Test func worksUntilTheThreadIsGone() throws {
    var key = pthread_key_t()
    multiplyMatrix(into: nil)  // the kernels' own key comes first, and so does its destructor
    try #require(pthread_key_create(&key) { multiplyMatrix(into: $0) } == 0)
    defer { pthread_key_delete(key) }
    let result = UnsafeMutablePointer<Float>.allocate(capacity: 1)
    defer { result.deallocate() }
    result.initialize(to: 0)
    let start = Unmanaged.passRetained(ThreadStart(key: key, result: result))
    var thread = pthread_t()
    pthread_create(
      &thread, nil,
      { argument in
        guard let argument else { return nil }
        let start = Unmanaged<ThreadStart>.fromOpaque(argument).takeRetainedValue()
        multiplyMatrix(into: nil)
        pthread_setspecific(start.key, start.result)
        return nil
      }, start.toOpaque())
    pthread_join(thread, nil)
    #expect(result.pointee == 64)
  }
}

private final class ThreadStart {
  let key: pthread_key_t
  let result: UnsafeMutablePointer<Float>

  init(key: pthread_key_t, result: UnsafeMutablePointer<Float>) {
    self.key = key
    self.result = result
  }
}

/// A product of ones that needs scratch memory; its first element goes to `result`, a `Float`.
private func multiplyMatrix(into result: UnsafeMutableRawPointer?) {
  guard let kernels = try? Kernels.make(.baseline) else { return }
  let ones = [Float](repeating: 1, count: 16 * 64)
  var product = [Float](repeating: 0, count: 16 * 16)
  ones.withUnsafeBufferPointer { ones in
    product.withUnsafeMutableBufferPointer { product in
      guard let source = ones.baseAddress, let target = product.baseAddress else { return }
      let matrix = WeightMatrix(
        elementType: .float32, rows: 16, columns: 64, data: UnsafeRawPointer(source), scales: nil)
      kernels.multiply(matrix, rows: 0..<16, x: source, xStride: 64, count: 16, into: target, yStride: 16)
    }
  }
  result?.storeBytes(of: product[0], as: Float.self)
}
