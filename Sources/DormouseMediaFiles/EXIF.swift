import DormouseSupport

/// Finds the orientation that a picture's file tells: tag 0x0112 of the first directory of its EXIF data (EXIF 2.32,
/// 4.6.4), which is a small TIFF. Anything that can't be read is `upright`, as if it were not there.
enum EXIF {
  static func orientation(of format: PictureFormat, _ source: ByteSource) throws(Failure) -> Orientation {
    switch format {
    case .jpeg: try inJPEG(source)
    case .png: try inPNG(source)
    case .webp: try inWebP(source)
    case .tiff: try inDirectory(source, from: 0)
    case .bmp: .upright
    }
  }

  /// Segments and chunks that are looked through before giving up.
  private static let stepLimit = 4096

  /// The APP1 segment that begins with "Exif\0\0", before the first scan.
  private static func inJPEG(_ source: ByteSource) throws(Failure) -> Orientation {
    var offset = 2
    for _ in 0..<stepLimit {
      let header = try source.prefix(10, from: offset)
      guard header.count == 10, header[0] == 0xFF, header[1] != 0xDA, header[1] != 0xD9 else { return .upright }
      if header[1] == 0xFF {
        offset += 1
        continue
      }
      if header[1] == 0xE1, header[4...].elementsEqual(Array("Exif\0\0".utf8)) {
        return try inDirectory(source, from: offset + 10)
      }
      offset += 2 + bigEndian(header[2..<4])
    }
    return .upright
  }

  private static func inPNG(_ source: ByteSource) throws(Failure) -> Orientation {
    var offset = 8
    for _ in 0..<stepLimit {
      let header = try source.prefix(8, from: offset)
      guard header.count == 8 else { return .upright }
      if header[4...].elementsEqual("eXIf".utf8) { return try inDirectory(source, from: offset + 8) }
      offset += 12 + bigEndian(header[..<4])
    }
    return .upright
  }

  private static func inWebP(_ source: ByteSource) throws(Failure) -> Orientation {
    var chunks = WebPChunks(source)
    for _ in 0..<stepLimit {
      guard let chunk = try chunks.next() else { break }
      guard chunk.name == "EXIF" else { continue }
      // Some writers put JPEG's own preamble in front.
      let isPreamble = try source.prefix(6, from: chunk.offset).elementsEqual(Array("Exif\0\0".utf8))
      return try inDirectory(source, from: chunk.offset + (isPreamble ? 6 : 0))
    }
    return .upright
  }

  /// - Parameter start: where the TIFF header stands.
  private static func inDirectory(_ source: ByteSource, from start: Int) throws(Failure) -> Orientation {
    let header = try source.prefix(8, from: start)
    guard header.count == 8 else { return .upright }
    let isLittle = header.starts(with: Array("II".utf8))
    guard isLittle || header.starts(with: Array("MM".utf8)) else { return .upright }
    func number(_ bytes: ArraySlice<UInt8>) -> Int { isLittle ? bigEndian(bytes.reversed()[...]) : bigEndian(bytes) }
    guard number(header[2..<4]) == 42 else { return .upright }
    let directory = start + number(header[4..<8])
    let count = try source.prefix(2, from: directory)
    guard count.count == 2 else { return .upright }
    for index in 0..<number(count[...]) {
      let entry = try source.prefix(12, from: directory + 2 + 12 * index)
      guard entry.count == 12 else { return .upright }
      guard number(entry[..<2]) == 0x0112 else { continue }
      // A SHORT stands in the first two bytes of the entry's value.
      guard number(entry[2..<4]) == 3, number(entry[4..<8]) == 1 else { return .upright }
      return Orientation(rawValue: number(entry[8..<10])) ?? .upright
    }
    return .upright
  }

  /// At most four bytes as a number.
  private static func bigEndian(_ bytes: ArraySlice<UInt8>) -> Int { bytes.reduce(0) { $0 << 8 | Int($1) } }
}
