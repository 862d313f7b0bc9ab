import CFFmpeg

/// Takes out of a compressed image what no pixel depends on, before a decoder of FFmpeg's sees it.
///
/// These decoders read texts, profiles and EXIF data, too, and keep them: a few thousand bytes of deflated text become
/// gigabytes, and so do EXIF entries that all point to the same bytes. No limit of theirs bounds that. What is left is
/// moved together in place.
enum ImageMetadata {
  /// Whether images of a codec carry anything that is taken out.
  static func mayBe(in codec: AVCodecID) -> Bool {
    switch codec {
    case AV_CODEC_ID_PNG, AV_CODEC_ID_APNG, AV_CODEC_ID_MJPEG, AV_CODEC_ID_WEBP: true
    default: false
    }
  }

  /// Returns how many bytes, from the first on, are left.
  static func remove(from bytes: UnsafeMutableRawBufferPointer, _ codec: AVCodecID) -> Int {
    switch codec {
    case AV_CODEC_ID_PNG, AV_CODEC_ID_APNG: removeFromPNG(bytes)
    case AV_CODEC_ID_MJPEG: removeFromJPEG(bytes)
    case AV_CODEC_ID_WEBP: removeFromWebP(bytes)
    default: bytes.count
    }
  }

  static let pngSignature: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]
  /// Chunks that pixels come from (PNG, third edition, 11).
  static let pngChunks = names(["IHDR", "PLTE", "tRNS", "IDAT", "IEND", "acTL", "fcTL", "fdAT"])
  /// The same of WebP (RFC 9649, 2.7).
  private static let webPChunks = names(["VP8X", "VP8 ", "VP8L", "ALPH"])

  private static func names(_ names: [String]) -> Set<UInt32> {
    Set(names.map { $0.utf8.reduce(0) { $0 << 8 | UInt32($1) } })
  }

  /// Chunks of a size, a name, data and a sum of four bytes. Packets of an animation have no signature in front. What
  /// a chunk claims beyond the end is the decoder's to complain about.
  private static func removeFromPNG(_ bytes: UnsafeMutableRawBufferPointer) -> Int {
    var read = bytes.starts(with: pngSignature) ? pngSignature.count : 0
    var written = read
    while bytes.count - read >= 8 {
      let size = min(12 + Int(bytes.bigEndian(at: read)), bytes.count - read)
      if pngChunks.contains(bytes.bigEndian(at: read + 4)) { written = bytes.move(read..<read + size, to: written) }
      read += size
    }
    return written
  }

  /// The chunks behind "RIFF", the size of all that follows, and "WEBP".
  private static func removeFromWebP(_ bytes: UnsafeMutableRawBufferPointer) -> Int {
    guard bytes.count >= 12 else { return bytes.count }
    var (read, written) = (12, 12)
    while bytes.count - read >= 8 {
      let size = 8 + Int(bytes.bigEndian(at: read + 4).byteSwapped)
      let padded = min(size + size % 2, bytes.count - read)
      if webPChunks.contains(bytes.bigEndian(at: read)) { written = bytes.move(read..<read + padded, to: written) }
      read += padded
    }
    bytes.storeBytes(of: UInt32(truncatingIfNeeded: written - 8).littleEndian, toByteOffset: 4, as: UInt32.self)
    return written
  }

  /// Segments of applications and comments (ITU-T T.81, B.1.1.3), wherever they stand, but for APP0 and APP14, which
  /// tell of fields and of colours. In coded data 0xFF is followed by 0 or by a marker without a segment.
  private static func removeFromJPEG(_ bytes: UnsafeMutableRawBufferPointer) -> Int {
    var (read, written) = (0, 0)
    while read < bytes.count {
      guard bytes[read] == 0xFF, bytes.count - read >= 4 else {
        bytes[written] = bytes[read]
        (read, written) = (read + 1, written + 1)
        continue
      }
      let marker = bytes[read + 1]
      let hasSegment = marker >= 0xC0 && marker < 0xFF && !(0xD0...0xD9).contains(marker)
      guard hasSegment else {
        // Another 0xFF may begin the marker itself.
        let size = marker == 0xFF ? 1 : 2
        written = bytes.move(read..<read + size, to: written)
        read += size
        continue
      }
      let size = min(2 + Int(bytes[read + 2]) << 8 + Int(bytes[read + 3]), bytes.count - read)
      let isNeeded = !(0xE0...0xEF).contains(marker) && marker != 0xFE || marker == 0xE0 || marker == 0xEE
      if isNeeded { written = bytes.move(read..<read + size, to: written) }
      read += size
    }
    return written
  }
}

extension UnsafeMutableRawBufferPointer {
  /// Four bytes; the caller knows that they are there.
  fileprivate func bigEndian(at offset: Int) -> UInt32 {
    loadUnaligned(fromByteOffset: offset, as: UInt32.self).bigEndian
  }

  /// Moves bytes to the front, to `target`. Returns the place behind them.
  fileprivate func move(_ range: Range<Int>, to target: Int) -> Int {
    if target != range.lowerBound, let base = baseAddress {
      (base + target).copyMemory(from: base + range.lowerBound, byteCount: range.count)
    }
    return target + range.count
  }
}
