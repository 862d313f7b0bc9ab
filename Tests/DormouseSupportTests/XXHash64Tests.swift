import DormouseSupport
import Testing

@Suite struct XXHash64Tests {
  /// From the reference implementation (python-xxhash 3, seed 0): nothing, less than a word, and every kind of tail.
  @Test(
    arguments: [
      (0, 0xEF46DB3751D8E999), (1, 0xE934A84ADB052768), (3, 0x9FF70A635A6209AB),
      (4, 0xAE5ACDC00A55AC41), (7, 0xD734A6B26F3DA63E), (8, 0x87116B3365B924EB),
      (12, 0x14B8433B9A14E611), (31, 0x0F187C62B1E722B7), (32, 0x91B0CB0931A8C629),
      (33, 0x931B043CF8D65B94), (39, 0x39C20D6F000A8FF7), (63, 0x219110BF13E2FA26),
      (64, 0xBF3052E3445775D0), (100, 0x8E2272C08247D5DB), (1000, 0x698399D62F9C1695),
    ] as [(Int, UInt64)])
  func agreesWithTheReference(_ count: Int, _ expected: UInt64) {
    let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 8) }
    #expect(XXHash64.hash(bytes) == expected)
  }

  @Test func doesNotNeedAlignment() {
    let bytes = (0..<200).map { UInt8($0) }
    bytes.withUnsafeBytes { all in
      for start in 0..<16 {
        let part = UnsafeRawBufferPointer(rebasing: all[start...])
        #expect(XXHash64.hash(part) == XXHash64.hash(Array(bytes[start...])))
      }
    }
  }
}
