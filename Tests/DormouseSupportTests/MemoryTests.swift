import DormouseSupport
import Testing

@Suite struct CheckedSizeTests {
  private func status(_ body: () throws(Failure) -> Int) -> Status? {
    do throws(Failure) { _ = try body() } catch { return error.status }
    return nil
  }

  @Test func multipliesAndAdds() throws {
    #expect(try CheckedSize.product(3, 4, 5, of: "x") == 60)
    #expect(try CheckedSize.product([], of: "x") == 1)
    #expect(try CheckedSize.product(7, 0, of: "x") == 0)
    #expect(try CheckedSize.product(Int.max, 1, of: "x") == Int.max)
    #expect(try CheckedSize.sum(1, 2, 3, of: "x") == 6)
    #expect(try CheckedSize.sum(of: "x") == 0)
    #expect(try CheckedSize.sum(Int.max, 0, of: "x") == Int.max)
  }

  @Test(arguments: [
    [Int.max, 2], [-1], [0, -1], [Int.min, Int.min], [1 << 32, 1 << 31], [2, Int.min], [Int.max, 2, 0],
  ])
  func refusesProducts(_ factors: [Int]) {
    #expect(status { () throws(Failure) in try CheckedSize.product(factors, of: "x") } == .malformed)
  }

  @Test func refusesSums() {
    #expect(status { () throws(Failure) in try CheckedSize.sum(Int.max, 1, of: "x") } == .malformed)
    #expect(status { () throws(Failure) in try CheckedSize.sum(5, -1, of: "x") } == .malformed)
    #expect(status { () throws(Failure) in try CheckedSize.sum(Int.min, -1, of: "x") } == .malformed)
  }

  @Test func namesWhatIsOutOfRange() {
    #expect { try CheckedSize.product(1 << 40, 1 << 40, of: "rows x columns") } throws: {
      "\($0)" == "rows x columns is out of range: [1099511627776, 1099511627776]"
    }
  }

  @Test func roundsQuotientsUp() {
    for (value, divisor, expected) in [
      (0, 5, 0), (1, 5, 1), (5, 5, 1), (6, 5, 2), (Int.max, 1, Int.max), (Int.max, Int.max, 1),
    ] {
      #expect(CheckedSize.ceilingQuotient(value, divisor) == expected)
    }
    #expect(CheckedSize.ceilingQuotient(Int.max, 2) == 1 << 62)
  }
}

@Suite struct AlignedBufferTests {
  @Test(arguments: [0, 1, 63, 64, 65, 4096, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 5 << 20])
  func isAlignedZeroAndWritable(_ count: Int) throws {
    let buffer = try AlignedBuffer(byteCount: count, for: "test")
    #expect(buffer.bytes.count == count)
    #expect(UInt(bitPattern: buffer.bytes.baseAddress) % UInt(AlignedBuffer.alignment) == 0)
    #expect(buffer.bytes.allSatisfy { $0 == 0 })
    for index in buffer.bytes.indices { buffer.bytes[index] = 0xA5 }
    #expect(buffer.bytes.allSatisfy { $0 == 0xA5 })
  }

  @Test(arguments: [
    (-1, Status.malformed), (Int.min, .malformed), (Int.max, .malformed), (Int.max - 200, .outOfMemory),
    (1 << 62, .outOfMemory), (1 << 47, .outOfMemory),
  ])
  func refusesWhatNoMachineHas(_ count: Int, _ status: Status) {
    #expect { try AlignedBuffer(byteCount: count, for: "the cache") } throws: {
      ($0 as? Failure)?.status == status && "\($0)".hasPrefix("the cache: ") && "\($0)".contains("\(count) bytes")
    }
  }

  @Test func bindsWholeElements() throws {
    let buffer = try AlignedBuffer(byteCount: 11, for: "test")
    #expect(buffer.bound(to: Float.self).count == 2)
    #expect(buffer.bound(to: UInt8.self).count == 11)
    #expect(try AlignedBuffer(byteCount: 0, for: "test").bound(to: Float.self).count == 0)
  }

  @Test func givesBackItsMemory() throws {
    for _ in 0..<2000 { _ = try AlignedBuffer(byteCount: 1 << 30, for: "test") }
  }
}

@Suite struct ExactStringTests {
  @Test func comparesBytes() {
    let composed = ExactString("\u{E9}")
    let decomposed = ExactString("e\u{301}")
    #expect(composed.string == decomposed.string)
    #expect(composed != decomposed)
    #expect(Set([composed, decomposed, ExactString("\u{E9}")]).count == 2)
    #expect(ExactString("") == ExactString(""))
    #expect(ExactString("a\0b") != ExactString("a"))
    #expect("\(decomposed)".utf8.elementsEqual("e\u{301}".utf8))
  }

  @Test func hashesEqualStringsAlikeHoweverTheyAreStored() {
    let text = "model.layers.11.mlp.experts.255.gate_proj.weight"
    let sliced = ExactString(String((text + "x").dropLast()))
    #expect(sliced == ExactString(text))
    #expect(sliced.hashValue == ExactString(text).hashValue)
    #expect([ExactString(text): 1][sliced] == 1)
  }
}
