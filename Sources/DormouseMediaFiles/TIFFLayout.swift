import CImageLibraries
import DormouseSupport

/// What the fields of a TIFF say of its pixels (TIFF 6.0, section 8), as far as it can be shown.
struct TIFFLayout {
  enum Colors {
    case grey(isInverted: Bool)
    case palette([UInt8])
    case rgb
    /// Colours multiplied by the component behind them.
    case multipliedRGB
    case cmyk
    /// Luma and chroma of whole resolution.
    case luma
    /// Luma and chroma that libtiff turns into red, green and blue.
    case converted
  }

  let width: Int
  let height: Int
  let orientation: Orientation
  /// Of a component: 1, 2, 4, 8, 12 or 16.
  let bits: Int
  /// Components of a pixel.
  let samples: Int
  /// Whether each component has blocks of its own.
  let isSeparate: Bool
  let colors: Colors
  private let compression: Int

  /// As many as PIL reads.
  static let mostSamples = 6

  init(_ file: TIFFFile, watch: MediaWatch) throws(Failure) {
    width = file.longField(TIFFTAG_IMAGEWIDTH) ?? 0
    height = file.longField(TIFFTAG_IMAGELENGTH) ?? 0
    try watch.checkSize(width: width, height: height)
    orientation = Orientation(rawValue: file.field(TIFFTAG_ORIENTATION, default: 1)) ?? .upright
    compression = file.field(TIFFTAG_COMPRESSION, default: 1)
    bits = file.field(TIFFTAG_BITSPERSAMPLE, default: 1)
    samples = file.field(TIFFTAG_SAMPLESPERPIXEL, default: 1)
    isSeparate = file.field(TIFFTAG_PLANARCONFIG, default: 1) == PLANARCONFIG_SEPARATE && samples > 1
    guard file.library.TIFFIsCODECConfigured(UInt16(clamping: compression)) == 1 else {
      throw watch.failure(
        .unsupported, "TIFF images with \(Self.name(compression)) are not read by the installed libtiff")
    }
    colors = try Self.colors(file, bits: bits, compression: compression, isSeparate: isSeparate, watch)
    try check(file, watch)
  }

  private static func colors(
    _ file: TIFFFile, bits: Int, compression: Int, isSeparate: Bool, _ watch: MediaWatch
  ) throws(Failure) -> Colors {
    if compression == COMPRESSION_OJPEG { return .converted }
    let photometric = Int32(file.field(TIFFTAG_PHOTOMETRIC))
    switch photometric {
    case PHOTOMETRIC_MINISWHITE, PHOTOMETRIC_MINISBLACK: return .grey(isInverted: photometric == PHOTOMETRIC_MINISWHITE)
    case PHOTOMETRIC_RGB:
      let isMultiplied = !isSeparate && file.extraSamples.first == Int(EXTRASAMPLE_ASSOCALPHA)
      return isMultiplied ? .multipliedRGB : .rgb
    case PHOTOMETRIC_PALETTE:
      guard let palette = file.palette(bits: bits) else {
        throw watch.failure(.malformed, "the TIFF image's palette for \(bits) bits is missing")
      }
      return .palette(palette)
    case PHOTOMETRIC_SEPARATED: return .cmyk
    case PHOTOMETRIC_YCBCR:
      if compression == COMPRESSION_JPEG, !isSeparate {
        file.askForRGB()
        return .rgb
      }
      return compression == COMPRESSION_NONE && !isSeparate && file.subsampling == (1, 1) ? .luma : .converted
    default:
      throw watch.failure(
        .unsupported, "TIFF images whose colours are of the kind \(photometric) (tag 262) are not supported")
    }
  }

  /// Components that the colours take.
  var colorCount: Int {
    switch colors {
    case .grey, .palette: 1
    case .rgb, .luma, .converted: 3
    case .multipliedRGB, .cmyk: 4
    }
  }

  private func check(_ file: TIFFFile, _ watch: MediaWatch) throws(Failure) {
    if case .converted = colors { return }
    let isGrey = if case .grey = colors { true } else { false }
    // PIL takes signed grey of 8 bits for unsigned; void values are what they are.
    let format = Int32(file.field(TIFFTAG_SAMPLEFORMAT, default: 1))
    let isWhole = format == SAMPLEFORMAT_UINT || format == SAMPLEFORMAT_VOID
    guard isWhole || (format == SAMPLEFORMAT_INT && isGrey && bits == 8) else {
      throw watch.failure(
        .unsupported, "TIFF images whose values are of the kind \(format) (tag 339) are not supported")
    }
    let isKnown = bits == 8 || bits == 16 || (samples == 1 && ([1, 2, 4].contains(bits) || (bits == 12 && isGrey)))
    guard isKnown, samples <= TIFFLayout.mostSamples else {
      throw watch.failure(
        .unsupported, "TIFF images of \(samples) components with \(bits) bits a pixel are not supported")
    }
    guard samples >= colorCount else {
      throw watch.failure(.malformed, "the TIFF image's pixels have \(samples) components, too few for its colours")
    }
  }

  var compressionName: String { Self.name(compression) }

  private static func name(_ compression: Int) -> String {
    let known: [Int: String] = [
      1: "none", 2: "CCITT RLE", 3: "CCITT fax 3", 4: "CCITT fax 4", 5: "LZW", 6: "old JPEG", 7: "JPEG", 8: "deflate",
      32773: "PackBits", 32946: "deflate", 34661: "JBIG", 34712: "JPEG 2000", 34887: "LERC", 34925: "LZMA",
      50000: "ZSTD", 50001: "WebP", 50002: "JPEG XL",
    ]
    return "compression \(compression)" + (known[compression].map { ", \($0)" } ?? "")
  }
}
