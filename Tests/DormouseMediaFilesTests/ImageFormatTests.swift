import Testing

@testable import DormouseMediaFiles

@Suite struct ImageFormatTests {
  private func fileType(_ brands: String) -> [UInt8] {
    [0, 0, 0, UInt8(8 + brands.utf8.count)] + Array("ftyp".utf8) + Array(brands.utf8)
  }

  @Test(
    arguments: [
      ("heic\0\0\0\0mif1heic", ImageFormat.heic), ("mif1\0\0\0\0mif1heic", .heic), ("hevc\0\0\0\0msf1", .heic),
      ("avif\0\0\0\0avifmif1", .avif), ("mif1\0\0\0\0miafavif", .avif), ("mif1", .heic), ("msf1\0\0\0\0avis", .avif),
    ])
  func brands(brands: String, format: ImageFormat) {
    #expect(ImageFormat(signature: fileType(brands)) == format)
  }

  @Test(arguments: ["isom\0\0\0\0mif1", "qt  \0\0\0\0qt  ", "mp42", "M4A ", "3gp4", ""]) func videos(brands: String) {
    #expect(ImageFormat(signature: fileType(brands)) == nil)
  }

  @Test func tiff() {
    for signature: [UInt8] in [[0x49, 0x49, 42, 0], [0x4D, 0x4D, 0, 42], [0x49, 0x49, 43, 0], [0x4D, 0x4D, 0, 43]] {
      #expect(ImageFormat(signature: signature) == .tiff)
      for cut in 0..<4 { #expect(ImageFormat(signature: Array(signature[..<cut])) == nil) }
    }
    #expect(ImageFormat(signature: [0x49, 0x49, 0, 42]) == nil)
  }
}
