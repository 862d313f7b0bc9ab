import CFFmpeg
import DormouseSupport
import Testing

@testable import DormouseMediaFiles

@Suite struct ImageMetadataTests {
  private func left(of bytes: [UInt8], _ codec: AVCodecID) -> [UInt8] {
    var bytes = bytes
    let count = bytes.withUnsafeMutableBytes { ImageMetadata.remove(from: $0, codec) }
    return Array(bytes[..<count])
  }

  private func chunk(_ name: String, _ data: [UInt8]) -> [UInt8] {
    [0, 0, 0, UInt8(data.count)] + Array(name.utf8) + data + [1, 2, 3, 4]
  }

  @Test func png() {
    let signature: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 13, 10, 26, 10]
    let kept = chunk("IHDR", [1]) + chunk("PLTE", [2, 3]) + chunk("IDAT", [4]) + chunk("IEND", [])
    let whole =
      chunk("IHDR", [1]) + chunk("zTXt", [9, 9]) + chunk("PLTE", [2, 3]) + chunk("iCCP", []) + chunk("tEXt", [7])
      + chunk("IDAT", [4]) + chunk("iTXt", [5]) + chunk("IEND", []) + chunk("eXIf", [6])
    #expect(left(of: signature + whole, AV_CODEC_ID_PNG) == signature + kept)
    #expect(left(of: whole, AV_CODEC_ID_APNG) == kept, "packets of an animation have no signature")
    let frame = chunk("fcTL", [1]) + chunk("fdAT", [2]) + chunk("acTL", [3])
    #expect(left(of: frame, AV_CODEC_ID_APNG) == frame)
    let cut = Array(chunk("IDAT", [1, 2, 3]).dropLast(5))
    #expect(left(of: signature + cut, AV_CODEC_ID_PNG) == signature + cut, "the decoder is left to complain")
    let huge: [UInt8] = [0xFF, 0xFF, 0xFF, 0xFF] + Array("zTXt".utf8) + [1, 2]
    #expect(left(of: signature + kept + huge, AV_CODEC_ID_PNG) == signature + kept)
  }

  @Test func webP() {
    func chunk(_ name: String, _ data: [UInt8]) -> [UInt8] {
      Array(name.utf8) + [UInt8(data.count), 0, 0, 0] + data + (data.count % 2 == 0 ? [] : [0])
    }
    func file(_ chunks: [UInt8]) -> [UInt8] {
      Array("RIFF".utf8) + [UInt8(4 + chunks.count), 0, 0, 0] + Array("WEBP".utf8) + chunks
    }
    let kept = chunk("VP8X", [1]) + chunk("ALPH", [2, 3]) + chunk("VP8 ", [4])
    let whole =
      chunk("VP8X", [1]) + chunk("ICCP", [9]) + chunk("ALPH", [2, 3]) + chunk("VP8 ", [4]) + chunk("EXIF", [8, 8, 8])
      + chunk("XMP ", [])
    #expect(left(of: file(whole), AV_CODEC_ID_WEBP) == file(kept))
    #expect(left(of: Array("RIFF".utf8), AV_CODEC_ID_WEBP) == Array("RIFF".utf8))
  }

  @Test func jpeg() {
    func segment(_ marker: UInt8, _ data: [UInt8]) -> [UInt8] { [0xFF, marker, 0, UInt8(2 + data.count)] + data }
    let scan: [UInt8] = [1, 2, 0xFF, 0, 3, 0xFF, 0xD0, 4, 0xFF]
    let tables = segment(0xDB, [0xFF, 0xE1, 0, 2]) + segment(0xC0, [1, 2, 3])
    let kept =
      [0xFF, 0xD8] + segment(0xE0, [5]) + tables + segment(0xEE, [6]) + segment(0xDA, [7]) + scan + segment(0xC4, [8])
      + segment(0xDA, [9]) + scan + [0xD9]
    let whole =
      [0xFF, 0xD8] + segment(0xE0, [5]) + segment(0xE1, [0xFF, 0xD9]) + tables + segment(0xFE, []) + segment(0xEE, [6])
      + segment(0xDA, [7]) + scan.dropLast() + segment(0xE2, [1, 1]) + [0xFF] + segment(0xC4, [8]) + segment(0xDA, [9])
      + scan + [0xD9]
    #expect(left(of: whole, AV_CODEC_ID_MJPEG) == kept)
  }

  /// Every cut and every byte changed: never more than there was, and no trap.
  @Test(arguments: [AV_CODEC_ID_PNG, AV_CODEC_ID_MJPEG, AV_CODEC_ID_WEBP, AV_CODEC_ID_H264].map(\.rawValue))
  func anyBytes(codec: UInt32) {
    let sample: [UInt8] =
      [0x89, 0x50, 0x4E, 0x47, 13, 10, 26, 10] + chunk("IHDR", [1]) + [0xFF, 0xE1, 0, 4, 1, 1, 0xFF, 0xD9]
      + Array("WEBP".utf8) + chunk("tEXt", [0xFF, 0xFE])
    for cut in 0...sample.count { #expect(left(of: Array(sample[..<cut]), AVCodecID(codec)).count <= cut) }
    for position in sample.indices {
      for value in [UInt8(0), 0x7F, 0xFF] {
        var changed = sample
        changed[position] = value
        #expect(left(of: changed, AVCodecID(codec)).count <= changed.count)
      }
    }
  }
}

@Suite struct SourcePartsTests {
  @Test func everyRange() throws {
    let bytes = [UInt8](0..<40)
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 40, alignment: 1)
    let one = UnsafeMutableRawBufferPointer.allocate(byteCount: 1, alignment: 1)
    defer {
      memory.deallocate()
      one.deallocate()
    }
    memory.copyBytes(from: bytes)
    let ranges = [2..<3, 5..<17, 30..<40]
    let expected = ranges.flatMap { bytes[$0] }
    let source = ByteSource.parts(SourceParts(.memory(UnsafeRawBufferPointer(memory)), ranges))
    #expect(source.count == expected.count)
    for start in 0...expected.count {
      for end in start...expected.count {
        let found = try source.prefix(end - start, from: start)
        #expect(found == Array(expected[start..<end]))
      }
    }
    for offset in [-1, expected.count, Int.max] {
      #expect(throws: Failure.self) { try source.read(into: one, at: offset) }
    }
    let nothing = ByteSource.parts(SourceParts(.memory(UnsafeRawBufferPointer(memory)), []))
    let none = try nothing.prefix(10)
    #expect(nothing.count == 0 && none.isEmpty)
  }
}
