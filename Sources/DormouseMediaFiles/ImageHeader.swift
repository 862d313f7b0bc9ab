import DormouseSupport

/// What the header of an image tells, read before anything is decoded: its size, and from its EXIF data how it is to
/// be shown. What can't be read stays as it is here; the decoder is left to complain. libtiff and libheif tell these
/// things of their images themselves.
struct ImageHeader {
  /// Pixels as stored; 0: unknown.
  private(set) var width = 0
  private(set) var height = 0
  private(set) var orientation = Orientation.upright

  /// Segments, chunks and directory entries that are looked through before giving up.
  private static let stepLimit = 4096

  init(_ format: ImageFormat, _ source: ByteSource) throws(Failure) {
    switch format {
    case .jpeg: try readJPEG(source)
    case .png: try readPNG(source)
    case .webp: try readWebP(source)
    case .bmp: try readBMP(source)
    case .tiff, .heic, .avif: break
    }
  }

  /// Segments up to the first scan (ITU-T T.81, B.1): SOFn has the size, APP1 the EXIF data.
  private mutating func readJPEG(_ source: ByteSource) throws(Failure) {
    var offset = 2
    for _ in 0..<ImageHeader.stepLimit {
      let header = try source.prefix(10, from: offset)
      guard header.count == 10, header[0] == 0xFF, header[1] != 0xDA, header[1] != 0xD9 else { return }
      if header[1] == 0xFF {
        offset += 1
        continue
      }
      // All of C0 to CF but the tables of Huffman (C4), arithmetic coding (CC) and JPG (C8).
      if header[1] & 0xF0 == 0xC0, ![0xC4, 0xC8, 0xCC].contains(header[1]) {
        height = Self.bigEndian(header[5..<7])
        width = Self.bigEndian(header[7..<9])
      }
      if header[1] == 0xE1, header[4...].elementsEqual(Array("Exif\0\0".utf8)) {
        try readDirectory(source, from: offset + 10)
      }
      offset += 2 + Self.bigEndian(header[2..<4])
    }
  }

  /// Chunks IHDR, the first one, and eXIf.
  private mutating func readPNG(_ source: ByteSource) throws(Failure) {
    let size = try source.prefix(8, from: 16)
    guard size.count == 8 else { return }
    width = Self.bigEndian(size[..<4])
    height = Self.bigEndian(size[4...])
    var offset = 8
    for _ in 0..<ImageHeader.stepLimit {
      let header = try source.prefix(8, from: offset)
      guard header.count == 8 else { return }
      if header[4...].elementsEqual("eXIf".utf8) {
        return try readDirectory(source, from: offset + 8)
      }
      offset += 12 + Self.bigEndian(header[..<4])
    }
  }

  /// Whether a PNG is an animation whose first frame is its image: chunks acTL and fcTL ahead of IDAT (PNG, third
  /// edition, 11.3.6). Where the image is none of the frames, it is what a viewer shows that knows no animations.
  static func isAnimatedPNG(_ source: ByteSource) throws(Failure) -> Bool {
    var (offset, isAnimation) = (8, false)
    for _ in 0..<stepLimit {
      let header = try source.prefix(8, from: offset)
      guard header.count == 8, !header[4...].elementsEqual("IDAT".utf8) else { return false }
      if header[4...].elementsEqual("acTL".utf8) { isAnimation = true }
      if header[4...].elementsEqual("fcTL".utf8) { return isAnimation }
      offset += 12 + bigEndian(header[..<4])
    }
    return false
  }

  /// RFC 9649: the size is in VP8X, or in the first chunk's own header.
  private mutating func readWebP(_ source: ByteSource) throws(Failure) {
    var chunks = WebPChunks(source)
    for _ in 0..<ImageHeader.stepLimit {
      guard let chunk = try chunks.next() else { return }
      if width == 0 { try readWebPSize(chunk, source) }
      guard chunk.name == "EXIF" else { continue }
      // Some writers put JPEG's own preamble in front.
      let isPreamble = try source.prefix(6, from: chunk.offset).elementsEqual(Array("Exif\0\0".utf8))
      return try readDirectory(source, from: chunk.offset + (isPreamble ? 6 : 0))
    }
  }

  private mutating func readWebPSize(_ chunk: WebPChunks.Chunk, _ source: ByteSource) throws(Failure) {
    let header = try source.prefix(10, from: chunk.offset)
    guard header.count == 10 else { return }
    func number(_ range: Range<Int>) -> Int { Self.bigEndian(header[range].reversed()[...]) }
    switch chunk.name {
    case "VP8X": (width, height) = (1 + number(4..<7), 1 + number(7..<10))
    case "VP8L": (width, height) = (1 + number(1..<5) & 0x3FFF, 1 + (number(1..<5) >> 14) & 0x3FFF)
    case "VP8 ": (width, height) = (number(6..<8) & 0x3FFF, number(8..<10) & 0x3FFF)
    default: break
    }
  }

  /// A negative height means rows from the top.
  private mutating func readBMP(_ source: ByteSource) throws(Failure) {
    let header = try source.prefix(12, from: 14)
    guard header.count == 12 else { return }
    func number(_ range: Range<Int>) -> Int { Self.bigEndian(header[range].reversed()[...]) }
    if number(0..<4) == 12 {
      (width, height) = (number(4..<6), number(6..<8))
    } else {
      width = Int(Int32(truncatingIfNeeded: number(4..<8)).magnitude)
      height = Int(Int32(truncatingIfNeeded: number(8..<12)).magnitude)
    }
  }

  /// The first directory of EXIF data, which are a TIFF: the orientation (tag 0x0112; EXIF 2.32, 4.6.4).
  /// - Parameter start: where the TIFF header stands.
  private mutating func readDirectory(_ source: ByteSource, from start: Int) throws(Failure) {
    let header = try source.prefix(8, from: start)
    guard header.count == 8 else { return }
    let isLittle = header.starts(with: Array("II".utf8))
    guard isLittle || header.starts(with: Array("MM".utf8)) else { return }
    func number(_ bytes: ArraySlice<UInt8>) -> Int {
      Self.bigEndian(isLittle ? bytes.reversed()[...] : bytes)
    }
    guard number(header[2..<4]) == 42 else { return }
    let directory = start + number(header[4..<8])
    let count = try source.prefix(2, from: directory)
    guard count.count == 2 else { return }
    for index in 0..<min(number(count[...]), ImageHeader.stepLimit) {
      let entry = try source.prefix(12, from: directory + 2 + 12 * index)
      guard entry.count == 12 else { return }
      // One SHORT stands in the first two bytes of the entry's value, one LONG in all four.
      let isShort = number(entry[2..<4]) == 3
      guard isShort || number(entry[2..<4]) == 4, number(entry[4..<8]) == 1 else { continue }
      guard number(entry[..<2]) == 0x0112 else { continue }
      orientation = Orientation(rawValue: number(entry[8..<(isShort ? 10 : 12)])) ?? .upright
    }
  }

  /// At most four bytes as a number.
  private static func bigEndian(_ bytes: ArraySlice<UInt8>) -> Int { bytes.reduce(0) { $0 << 8 | Int($1) } }
}
