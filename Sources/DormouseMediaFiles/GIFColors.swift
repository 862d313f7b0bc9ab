import DormouseSupport

/// The colour that a GIF's transparent pixels have in its own palette (GIF89a, sections 18 to 23).
///
/// FFmpeg's decoder gives such pixels a colour that it is told; PIL's `convert("RGB")` shows the palette's.
enum GIFColors {
  /// Blocks and bytes before the first image that are looked through before giving up.
  private static let stepLimit = 4096

  /// 0xAARRGGBB with alpha 0, of the first image; nil when it has no transparent colour, or no palette.
  static func transparentColor(_ source: ByteSource) throws(Failure) -> UInt32? {
    let header = try source.prefix(13)
    guard header.count == 13 else { return nil }
    var palette = Palette(start: 13, flags: header[10])
    var offset = 13 + palette.byteCount
    var transparent: Int?
    for _ in 0..<stepLimit {
      let block = try source.prefix(10, from: offset)
      guard block.count == 10 else { return nil }
      if block[0] == 0x21 {
        if block[1] == 0xF9, block[3] & 1 != 0 { transparent = Int(block[6]) }
        guard let end = try endOfBlocks(source, from: offset + 2) else { return nil }
        offset = end
      } else if block[0] == 0x2C {
        let local = Palette(start: offset + 10, flags: block[9])
        if local.byteCount > 0 { palette = local }
        break
      } else {
        return nil
      }
    }
    guard let transparent, 3 * transparent + 3 <= palette.byteCount else { return nil }
    let color = try source.prefix(3, from: palette.start + 3 * transparent)
    return color.count == 3 ? color.reduce(0) { $0 << 8 | UInt32($1) } : nil
  }

  private struct Palette {
    var start: Int
    var byteCount: Int

    init(start: Int, flags: UInt8) {
      self.start = start
      byteCount = flags & 0x80 != 0 ? 3 << (Int(flags & 7) + 1) : 0
    }
  }

  /// Behind a chain of blocks, each with its size in front, up to an empty one.
  private static func endOfBlocks(_ source: ByteSource, from start: Int) throws(Failure) -> Int? {
    var offset = start
    for _ in 0..<stepLimit {
      guard let size = try source.prefix(1, from: offset).first else { return nil }
      offset += 1 + Int(size)
      if size == 0 { return offset }
    }
    return nil
  }
}
