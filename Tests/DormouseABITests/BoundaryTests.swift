import CDormouse
import DormouseBoundary
import DormouseSupport
import Testing

@Suite struct BoundaryTests {
  private typealias Options = dormouse_session_options

  /// Reads `bytes` as a caller's struct whose first member, `struct_size`, is set to `size`.
  private func read(_ bytes: [UInt8], size: UInt32) throws -> Options {
    var bytes = bytes
    return try bytes.withUnsafeMutableBytes { buffer in
      buffer.storeBytes(of: size, as: UInt32.self)
      let pointer = buffer.baseAddress?.assumingMemoryBound(to: Options.self)
      return try readStruct(UnsafePointer(pointer), zero: Options(), name: "dormouse_session_options")
    }
  }

  @Test func nullMeansDefaults() throws {
    let options = try readStruct(UnsafePointer<Options>(nil as OpaquePointer?), zero: Options(), name: "x")
    #expect(options.context_length == 0)
  }

  @Test func aShorterStructIsFilledWithZeroes() throws {
    var bytes = [UInt8](repeating: 0xFF, count: 16)
    bytes[4...7] = [9, 0, 0, 0]
    let options = try read(bytes, size: 8)
    #expect(options.context_length == 9)
    #expect(options.cache == 0)
    #expect(options.attention == 0)
    #expect(try read(bytes, size: 4).context_length == 0)
  }

  @Test func aLongerStructMustEndInZeroes() throws {
    let size = UInt32(MemoryLayout<dormouse_session_options>.size + 8)
    var bytes = [UInt8](repeating: 0, count: Int(size))
    bytes[4] = 7
    #expect(try read(bytes, size: size).context_length == 7)
    bytes[Int(size) - 1] = 1
    #expect { try read(bytes, size: size) } throws: { "\($0)".contains("byte \(size - 1) is set") }
  }

  @Test(arguments: [UInt32(0), 3, 4097, .max]) func impossibleSizesAreRefused(size: UInt32) {
    #expect { try read([UInt8](repeating: 0, count: 16), size: size) } throws: {
      ($0 as? Failure)?.status == .invalidArgument && "\($0)".contains("struct_size is \(size)")
    }
  }

  /// The sentence that lands in an error of the given size.
  private func message(_ text: String, structSize: Int) -> (status: Int32, text: String) {
    var error = dormouse_error()
    _ = withUnsafeMutableBytes(of: &error) { $0.initializeMemory(as: UInt8.self, repeating: 0x7E) }
    error.struct_size = UInt32(structSize)
    error.status = 5
    let status = boundary(&error) { () throws(Failure) in throw Failure(.malformed, text) }
    #expect(status == Status.malformed.rawValue)
    let bytes = withUnsafeBytes(of: &error) { Array($0.dropFirst(8)) }
    return (error.status, String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self))
  }

  @Test func sentencesAreCutAtACharacter() {
    let full = MemoryLayout<dormouse_error>.size
    #expect(message("brief", structSize: full) == (-4, "brief"))
    let long = String(repeating: "é", count: 700)
    #expect(message(long, structSize: full).text == String(repeating: "é", count: 507))
    #expect(message("héllo", structSize: 8 + 3) == (-4, "h"))
    #expect(message("héllo", structSize: 8 + 4) == (-4, "hé"))
    #expect(message("x", structSize: 9) == (-4, ""))
    #expect(message("x", structSize: 8).status == -4)
    #expect(message("x", structSize: 4).status == 5)
    #expect(boundary(nil) { () throws(Failure) in throw Failure(.busy, "x") } == Status.busy.rawValue)
  }

  @Test func outputsTellTheirSizeAndSpareASmallBuffer() throws {
    var count = 0
    var buffer: [Int32] = [-1, -1, -1]
    #expect(throws: Failure.self) { try deliver([1, 2, 3, 4], &buffer, 3, &count, "ids") }
    #expect(count == 4)
    #expect(buffer == [-1, -1, -1])
    try deliver([1, 2], &buffer, 3, &count, "ids")
    #expect(buffer == [1, 2, -1])
    #expect(throws: Failure.self) { try deliver([Int32(1)], nil, 1, &count, "ids") }
    #expect(throws: Failure.self) { try deliver([Int32(1)], &buffer, 3, nil, "ids") }
    var text = [CChar](repeating: 0x7E, count: 4)
    try deliver(text: Array("abc".utf8), &text, 4, &count)
    #expect(text == [0x61, 0x62, 0x63, 0])
  }
}
