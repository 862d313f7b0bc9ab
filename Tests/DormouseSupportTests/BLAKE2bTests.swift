import DormouseSupport
import Testing

/// Against Python's hashlib.
@Suite struct BLAKE2bTests {
  static let known: [(count: Int, digest: String)] = [
    (0, "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8"),
    (1, "ee155ace9c40292074cb6aff8c9ccdd273c81648ff1149ef36bcea6ebb8a3e25"),
    (3, "9facd640130c81e7f318a8d5c660bc1b0f5d03861ffbd4cc1358e0e904593c28"),
    (127, "f609ab2904b340cd075920018e0e3c6f6a90a3dae3edf03d3cccc0634a81ffe3"),
    (128, "0702c64922fb7635a1b799668a7e89ba9c5fe55ed7bd2fdecb001544073afad9"),
    (129, "490091b32bad7b3380c9e593d341bce9b73ff9d4ebcf0091ff932bdff7279897"),
    (256, "3d0cb2693dfbac42af5a6cc960953fea8714aa39c4bcd054ef61d6b5e98ade4a"),
    (1000, "a2ae1ecc90361e0bb07dab9789a4b0a724ee3cf05623ac6cefa1e6af3da4aae8"),
  ]

  private static func message(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(($0 * 7 + count) % 256) } }

  private static func text(_ bytes: [UInt8]) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }

  @Test(arguments: known)
  func digest(count: Int, digest: String) {
    #expect(Self.text(BLAKE2b.hash(Self.message(count))) == digest)
  }

  @Test func longDigests() {
    let digest =
      "19d0ad91b99eaac8253dc6b6bc3dce6b769e76976c956ac3051169847681b2c9"
      + "677c399c73a3602e787962cb773ec69d01a968216d3c0f5085c397809c229fc0"
    #expect(Self.text(BLAKE2b.hash(Self.message(129), digestByteCount: 64)) == digest)
  }

  @Test(arguments: [1, 50, 127, 128, 129])
  func piecesChangeNothing(size: Int) {
    let message = Self.message(1000)
    var hash = BLAKE2b()
    for start in stride(from: 0, to: message.count, by: size) {
      hash.update(Array(message[start..<min(start + size, message.count)]))
    }
    #expect(hash.finish() == BLAKE2b.hash(message))
  }
}
