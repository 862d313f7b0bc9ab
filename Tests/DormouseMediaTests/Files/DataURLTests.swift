import DormouseMedia
import DormouseSupport
import Testing

@Suite struct DataURLTests {
  private func decoded(_ text: String) throws -> [UInt8] {
    let buffer = try DataURL.decode(text, name: "image 1", limit: 10)
    return withExtendedLifetime(buffer) { Array(buffer.bytes) }
  }

  @Test(arguments: ["data:image/png;base64,Zm8=", "DATA:;BASE64,Zm8=", "data:text/plain;charset=x;base64,Zm8="])
  func accepted(text: String) throws {
    #expect(DataURL.isOne(text))
    #expect(try decoded(text) == Array("fo".utf8))
  }

  @Test func refused() {
    #expect(!DataURL.isOne("dat"))
    #expect(!DataURL.isOne("/data:x"))
    #expect { try decoded("data:image/png;base64") } throws: { "\($0)".contains("comma") }
    #expect { try decoded("data:,fo") } throws: { ($0 as? Failure)?.status == .unsupported }
    #expect { try decoded("data:image/png;base64,Zm8%3D==") } throws: { "\($0)".contains("image 1: the byte 37") }
    #expect { try decoded("data:;base64,\(String(repeating: "Zm9v", count: 4))") } throws: {
      "\($0)".contains("12 bytes, more than the limit, 10")
    }
  }
}
