import DormouseSupport

/// Metadata of videos and audio that FFmpeg's demuxers would inflate, past every limit, before anybody has asked for
/// it: what a file is without them. No image or audio depends on them.
enum ContainerMetadata {
  /// The source behind its ID3v2 tags, which may stand in front of any format; their frames may be deflated (id3.org,
  /// ID3v2.4.0, sections 3.1 and 4.1.2). An animated PNG becomes one of the chunks that its pixels come from.
  static func removeInFront(of source: ByteSource, _ watch: MediaWatch) throws(Failure) -> ByteSource {
    let signature = ImageMetadata.pngSignature
    if try source.prefix(signature.count) == signature { return try withoutChunks(source, watch) }
    var offset = 0
    while let size = try tagByteCount(source, at: offset) {
      try watch.check()
      offset += min(size, source.count - offset)
    }
    return rest(of: source, [], from: offset)
  }

  private static func withoutChunks(_ source: ByteSource, _ watch: MediaWatch) throws(Failure) -> ByteSource {
    var (parts, offset) = ([0..<ImageMetadata.pngSignature.count], ImageMetadata.pngSignature.count)
    while true {
      try watch.check()
      let header = try source.prefix(8, from: offset)
      guard header.count == 8 else { break }
      let end = min(offset + 12 + header[..<4].reduce(0) { $0 << 8 | Int($1) }, source.count)
      if ImageMetadata.pngChunks.contains(header[4...].reduce(0) { $0 << 8 | UInt32($1) }) {
        if let last = parts.last, last.upperBound == offset {
          parts[parts.count - 1] = last.lowerBound..<end
        } else {
          parts.append(offset..<end)
        }
      }
      offset = end
    }
    return .parts(SourceParts(source, parts))
  }

  /// The bytes of an ID3v2 tag, its header included; nil where none stands.
  static func tagByteCount(_ source: ByteSource, at offset: Int) throws(Failure) -> Int? {
    let header = try source.prefix(10, from: offset)
    guard header.count == 10, header.starts(with: Array("ID3".utf8)), header[3] != 0xFF, header[4] != 0xFF,
      header[6...].allSatisfy({ $0 < 0x80 })
    else { return nil }
    return 10 + header[6...].reduce(0) { $0 << 7 | Int($1) } + (header[5] & 0x10 != 0 ? 10 : 0)
  }

  /// The source without what the demuxer of `format` would inflate.
  /// - Parameter format: FFmpeg's name.
  static func remove(from source: ByteSource, format: String, _ watch: MediaWatch) throws(Failure) -> ByteSource {
    switch format {
    case "wav": return try withoutTagChunks(source, watch)
    case "aac": return try withoutTagsBetweenFrames(source, watch)
    default:
      if format.hasPrefix("mov") { try refuseCompressedHeader(source, watch) }
      return source
    }
  }

  /// WAV: chunks of a name, a size, data and a byte of padding. One of them may be an ID3v2 tag.
  private static func withoutTagChunks(_ source: ByteSource, _ watch: MediaWatch) throws(Failure) -> ByteSource {
    var (parts, start, offset) = ([Range<Int>](), 0, 12)
    while true {
      try watch.check()
      let header = try source.prefix(8, from: offset)
      guard header.count == 8 else { break }
      let size = header[4...].reversed().reduce(0) { $0 << 8 | Int($1) }
      let end = min(offset + 8 + size + size % 2, source.count)
      if ["ID3 ", "id3 "].contains(String(decoding: header[..<4], as: UTF8.self)) {
        if start < offset { parts.append(start..<offset) }
        start = end
      }
      offset = end
    }
    return rest(of: source, parts, from: start)
  }

  /// ADTS (ISO/IEC 13818-7, 6.2): frames whose headers tell their sizes; tags may stand between them.
  private static func withoutTagsBetweenFrames(_ source: ByteSource, _ watch: MediaWatch) throws(Failure)
    -> ByteSource
  {
    var (parts, start, offset) = ([Range<Int>](), 0, 0)
    while true {
      try watch.check()
      let header = try source.prefix(7, from: offset)
      guard header.count == 7 else { break }
      let size = Int(header[3] & 3) << 11 | Int(header[4]) << 3 | Int(header[5]) >> 5
      if header[0] == 0xFF, header[1] & 0xF0 == 0xF0, size >= 7 {
        offset += size
      } else if let tag = try tagByteCount(source, at: offset) {
        if start < offset { parts.append(start..<offset) }
        offset = min(offset + tag, source.count)
        start = offset
      } else {
        offset += 1
      }
    }
    return rest(of: source, parts, from: start)
  }

  private static func rest(of source: ByteSource, _ parts: [Range<Int>], from start: Int) -> ByteSource {
    guard start > 0 else { return source }
    return .parts(SourceParts(source, start < source.count ? parts + [start..<source.count] : parts))
  }

  /// MOV: the box `cmov` holds the whole header deflated (QuickTime File Format, Compressed Movie Resources). FFmpeg
  /// looks for it in every box but `mdat`.
  private static func refuseCompressedHeader(_ source: ByteSource, _ watch: MediaWatch) throws(Failure) {
    var offset = 0
    while true {
      try watch.check()
      let header = try source.prefix(16, from: offset)
      guard header.count >= 8 else { return }
      var size = header[..<4].reduce(0) { $0 << 8 | Int($1) }
      if size == 1, header.count == 16 {
        size = Int(clamping: header[8...].reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
      }
      let end = size >= 8 && size <= source.count - offset ? offset + size : source.count
      let isData = header[4..<8].elementsEqual("mdat".utf8)
      if !isData, try holdsCompressedHeader(source, offset..<end, watch) {
        throw watch.failure(.unsupported, "videos whose header is compressed (the box 'cmov') are not supported")
      }
      offset = end
    }
  }

  private static let compressedHeader = Array("cmov".utf8)
  private static let compressionMethod = Array("dcomzlib".utf8)

  private static func holdsCompressedHeader(_ source: ByteSource, _ range: Range<Int>, _ watch: MediaWatch)
    throws(Failure) -> Bool
  {
    let (pieceByteCount, patternByteCount) = (1 << 20, 16)
    for start in stride(from: range.lowerBound, to: range.upperBound, by: pieceByteCount) {
      try watch.check()
      // Each piece begins with the end of the one before it.
      let first = max(start - patternByteCount, range.lowerBound)
      let bytes = try source.prefix(min(start + pieceByteCount, range.upperBound) - first, from: first)
      let isFound = bytes.withUnsafeBytes { bytes in
        (0..<max(bytes.count - patternByteCount + 1, 0)).contains { at in
          bytes[at] == 0x63 && bytes[at..<at + 4].elementsEqual(compressedHeader)
            && bytes[at + 8..<at + 16].elementsEqual(compressionMethod)
        }
      }
      if isFound { return true }
    }
    return false
  }
}
