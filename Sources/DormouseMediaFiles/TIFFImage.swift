import CImageLibraries
import DormouseSupport

/// The first image of a TIFF or BigTIFF, decoded by libtiff and shown as PIL shows it: block by block, which may be
/// strips or tiles, with the components of a pixel together or apart.
struct TIFFImage {
  private let file: TIFFFile
  private let layout: TIFFLayout
  private let watch: MediaWatch
  private let result: RGBFrame

  /// The pixels as they are stored, and how they are to be shown.
  static func read(_ source: ByteSource, watch: MediaWatch) throws(Failure) -> (RGBFrame, Orientation) {
    let file = try TIFFFile(source, watch: watch)
    let layout = try TIFFLayout(file, watch: watch)
    let result = try RGBFrame(width: layout.width, height: layout.height, watch: watch)
    let image = TIFFImage(file: file, layout: layout, watch: watch, result: result)
    if case .converted = layout.colors { try image.readConverted() } else { try image.readBlocks() }
    return (result, layout.orientation)
  }

  /// Tiles, or strips as wide as the image.
  private struct Blocks {
    let isTiled: Bool
    let width: Int
    let height: Int
    /// Bytes of a block, and of one of its rows; of one component where these lie apart.
    let byteCount: Int
    let rowByteCount: Int
  }

  private func blocks() throws(Failure) -> Blocks {
    let library = file.library
    let isTiled = library.TIFFIsTiled(file.tiff) != 0
    let blocks = Blocks(
      isTiled: isTiled, width: isTiled ? file.longField(TIFFTAG_TILEWIDTH) ?? 0 : layout.width,
      height: isTiled
        ? file.longField(TIFFTAG_TILELENGTH) ?? 0
        : min(file.longField(TIFFTAG_ROWSPERSTRIP) ?? layout.height, layout.height),
      byteCount: Int(isTiled ? library.TIFFTileSize(file.tiff) : library.TIFFStripSize(file.tiff)),
      rowByteCount: Int(isTiled ? library.TIFFTileRowSize(file.tiff) : library.TIFFScanlineSize(file.tiff)))
    // Of an image within the limit a tile may stand out, as far as decoders' own blocks may.
    let mostPixels = watch.limits.pixelLimit + CodecDecoder.alignmentPixels
    guard blocks.width > 0, blocks.height > 0, blocks.width <= mostPixels / blocks.height else {
      throw watch.failure(
        .unsupported, "the TIFF image's blocks of \(blocks.width) x \(blocks.height) pixels are beyond max_pixels")
    }
    let values = try CheckedSize.product(
      blocks.width, layout.isSeparate ? 1 : layout.samples, layout.bits, of: "a row of a block")
    let needed = CheckedSize.ceilingQuotient(values, 8)
    guard blocks.rowByteCount >= needed, blocks.byteCount / blocks.rowByteCount >= blocks.height else {
      throw watch.failure(.malformed, "the TIFF image's blocks are smaller than its fields say")
    }
    return blocks
  }

  private func readBlocks() throws(Failure) {
    let blocks = try blocks()
    let planeCount = layout.isSeparate ? layout.colorCount : 1
    let size = try CheckedSize.product(blocks.byteCount, planeCount, of: "a block of the image")
    let buffer = try AlignedBuffer(byteCount: size, isZeroed: false, for: watch.name)
    let expanded = try AlignedBuffer(byteCount: layout.width, for: watch.name)
    defer { withExtendedLifetime((buffer, expanded)) {} }
    guard let start = buffer.bound(to: UInt8.self).baseAddress, let spare = expanded.bound(to: UInt8.self).baseAddress
    else { return }
    for top in stride(from: 0, to: layout.height, by: blocks.height) {
      let rowCount = min(blocks.height, layout.height - top)
      for left in stride(from: 0, to: layout.width, by: blocks.width) {
        try watch.check()
        for plane in 0..<planeCount {
          try read(blocks, left, top, plane, rowCount, into: start + plane * blocks.byteCount)
        }
        let width = min(blocks.width, layout.width - left)
        for row in 0..<rowCount {
          let planes = (0..<planeCount).map { start + ($0 * blocks.byteCount + row * blocks.rowByteCount) }
          let pixels = result.row(top + row)
          show(planes, spare, in: UnsafeMutableBufferPointer(rebasing: pixels[3 * left..<3 * (left + width)]))
        }
      }
    }
  }

  private func read(
    _ blocks: Blocks, _ left: Int, _ top: Int, _ plane: Int, _ rowCount: Int, into start: UnsafeMutablePointer<UInt8>
  ) throws(Failure) {
    let (library, x, y, z) = (file.library, UInt32(left), UInt32(top), UInt16(plane))
    let count =
      blocks.isTiled
      ? library.TIFFReadTile(file.tiff, start, x, y, 0, z)
      : library.TIFFReadEncodedStrip(
        file.tiff, library.TIFFComputeStrip(file.tiff, y, z), start, tmsize_t(blocks.byteCount))
    guard count >= rowCount * blocks.rowByteCount else { throw file.failure(row: top, layout) }
  }

  /// One row of a block.
  /// - Parameter spare: room for one component of a row.
  private func show(
    _ planes: [UnsafeMutablePointer<UInt8>], _ spare: UnsafeMutablePointer<UInt8>,
    in row: UnsafeMutableBufferPointer<UInt8>
  ) {
    func component(_ index: Int) -> ComponentRow {
      guard layout.bits >= 8, layout.bits != 12 else {
        expand(planes[0], into: UnsafeMutableBufferPointer(start: spare, count: row.count / 3))
        return ComponentRow(spare, step: 1)
      }
      // libtiff gives words in the machine's order, little endian: the upper byte is the second one.
      let (byteCount, upper) = (layout.bits / 8, layout.bits / 8 - 1)
      if layout.isSeparate { return ComponentRow(planes[index] + upper, step: byteCount) }
      return ComponentRow(planes[0] + (index * byteCount + upper), step: layout.samples * byteCount)
    }
    switch layout.colors {
    case .grey(let isInverted): row.setGrey(component(0), isInverted: isInverted)
    case .palette(let palette): row.setPalette(component(0), palette)
    case .rgb: row.setRGB(component(0), component(1), component(2))
    case .multipliedRGB: row.setRGB(component(0), component(1), component(2), multipliedBy: component(3))
    case .cmyk: row.setCMYK(component(0), component(1), component(2), component(3))
    case .luma: row.setYCbCr(component(0), component(1), component(2))
    case .converted: break
    }
  }

  /// Values of 1, 2, 4 or 12 bits, the highest of a byte first, become bytes: grey is spread over the range or loses
  /// its lower bits; numbers of colours stay as they are.
  private func expand(_ packed: UnsafePointer<UInt8>, into values: UnsafeMutableBufferPointer<UInt8>) {
    if layout.bits == 12 {
      for x in 0..<values.count {
        let at = x / 2 * 3
        values[x] = x % 2 == 0 ? packed[at] : packed[at + 1] << 4 | packed[at + 2] >> 4
      }
      return
    }
    let (bits, largest) = (layout.bits, UInt8(1 << layout.bits - 1))
    let scale: UInt8 = if case .palette = layout.colors { 1 } else { 255 / largest }
    for x in 0..<values.count {
      let bit = x * bits
      values[x] = (packed[bit / 8] >> UInt8(8 - bits - bit % 8) & largest) &* scale
    }
  }

  /// Luma and chroma that libtiff converts, as PIL has it: so many rows at a time as a block has.
  private func readConverted() throws(Failure) {
    let (library, tiff) = (file.library, file.tiff)
    var image = TIFFRGBAImage()
    let hasBegun = withUnsafeTemporaryAllocation(of: CChar.self, capacity: 1024) { message in
      library.TIFFRGBAImageBegin(&image, tiff, 1, message.baseAddress) == 1
    }
    guard hasBegun else {
      throw watch.failure(
        .unsupported, "TIFF images with luma and chroma of this kind are not supported (\(layout.compressionName))")
    }
    defer { library.TIFFRGBAImageEnd(&image) }
    image.orientation = UInt16(ORIENTATION_TOPLEFT)
    image.req_orientation = UInt16(ORIENTATION_TOPLEFT)
    let blockTag = library.TIFFIsTiled(tiff) != 0 ? TIFFTAG_TILELENGTH : TIFFTAG_ROWSPERSTRIP
    let most = min(max(file.longField(blockTag) ?? layout.height, 1), layout.height)
    let byteCount = try CheckedSize.product(most, layout.width, 4, of: "a block of the image")
    let buffer = try AlignedBuffer(byteCount: byteCount, for: watch.name)
    defer { withExtendedLifetime(buffer) {} }
    for top in stride(from: 0, to: layout.height, by: most) {
      try watch.check()
      let rowCount = min(most, layout.height - top)
      image.row_offset = Int32(top)
      let raster = buffer.bound(to: UInt32.self).baseAddress
      guard library.TIFFRGBAImageGet(&image, raster, UInt32(layout.width), UInt32(rowCount)) == 1 else {
        throw file.failure(row: top, layout)
      }
      guard let start = buffer.bound(to: UInt8.self).baseAddress else { return }
      for row in 0..<rowCount {
        func component(_ index: Int) -> ComponentRow { ComponentRow(start + (row * layout.width * 4 + index), step: 4) }
        result.row(top + row).setRGB(component(0), component(1), component(2))
      }
    }
  }
}
