import CImageLibraries
import DormouseSupport

/// A TIFF that libtiff has open at its first image. libtiff gets a stream over the file's bytes, writes nothing
/// anywhere, and takes no block of memory that the limits do not allow.
final class TIFFFile {
  let library: image_tiff_functions
  let tiff: OpaquePointer
  private let stream: ImageStream
  private let watch: MediaWatch

  /// What libtiff may take at once beside the file's own bytes: pixels of the widest kind, and its tables.
  private static func largestBlock(_ source: ByteSource, _ watch: MediaWatch) throws(Failure) -> Int {
    let pixels = try CheckedSize.product(TIFFLayout.mostSamples * 2, watch.limits.pixelLimit, of: "max_pixels")
    return try CheckedSize.sum(pixels, source.count, 16 << 20, of: "the file's size")
  }

  init(_ source: ByteSource, watch: MediaWatch) throws(Failure) {
    library = try ImageLibraries.tiff(watch)
    stream = ImageStream(source, watch: watch)
    self.watch = watch
    let opened = try TIFFFile.open(stream, library, watch)
    guard let opened else {
      try stream.check()
      throw watch.failure(.malformed, "the TIFF image has no directory that can be read")
    }
    tiff = opened
  }

  deinit { library.TIFFClose(tiff) }

  private static func open(
    _ stream: ImageStream, _ library: image_tiff_functions, _ watch: MediaWatch
  ) throws(Failure) -> OpaquePointer? {
    let largestBlock = try largestBlock(stream.source, watch)
    guard let options = library.TIFFOpenOptionsAlloc() else {
      throw watch.failure(.outOfMemory, "no memory for a TIFF image")
    }
    defer { library.TIFFOpenOptionsFree(options) }
    library.TIFFOpenOptionsSetMaxSingleMemAlloc(options, tmsize_t(largestBlock))
    // A handler that returns 1 has the last word: no other writes the message.
    library.TIFFOpenOptionsSetErrorHandlerExtR(options, { _, _, _, _, _ in 1 }, nil)
    library.TIFFOpenOptionsSetWarningHandlerExtR(options, { _, _, _, _, _ in 1 }, nil)
    // "C": strips stay as large as the file has them.
    return library.TIFFClientOpenExt(
      "TIFF", "rC", stream.context, readBytes, refuseToWrite, seekBytes, closeNothing, countBytes, mapBytes,
      unmapNothing, options)
  }

  /// A field of 16 bits, or what the format takes where it is missing.
  func field(_ tag: Int32, default standard: Int = 0) -> Int {
    var value: UInt16 = 0
    return withUnsafePointer(to: library) { picture_tiff_get_16($0, tiff, UInt32(tag), &value) } == 1
      ? Int(value) : standard
  }

  /// A field of 32 bits; nil where it is missing.
  func longField(_ tag: Int32) -> Int? {
    var value: UInt32 = 0
    return withUnsafePointer(to: library) { picture_tiff_get_32($0, tiff, UInt32(tag), &value) } == 1 ? Int(value) : nil
  }

  /// Kinds of the components beyond the colours (tag 338).
  var extraSamples: [Int] {
    var count: UInt16 = 0
    var kinds: UnsafePointer<UInt16>?
    guard withUnsafePointer(to: library, { image_tiff_get_extra($0, tiff, &count, &kinds) }) == 1, let kinds else {
      return []
    }
    return UnsafeBufferPointer(start: kinds, count: Int(count)).map { Int($0) }
  }

  /// Red, green and blue of 256 colours, of which the first 2^`bits` are the file's (tag 320); nil where it has none.
  func palette(bits: Int) -> [UInt8]? {
    var (red, green, blue): (UnsafePointer<UInt16>?, UnsafePointer<UInt16>?, UnsafePointer<UInt16>?)
    let found = withUnsafePointer(to: library) { image_tiff_get_palette($0, tiff, &red, &green, &blue) }
    guard found == 1, let red, let green, let blue, bits <= 8 else { return nil }
    var colors = [UInt8](repeating: 0, count: 3 * 256)
    for index in 0..<1 << bits {
      for (channel, values) in [red, green, blue].enumerated() {
        colors[3 * index + channel] = UInt8(truncatingIfNeeded: values[index] >> 8)
      }
    }
    return colors
  }

  /// Columns and rows of luma for one value of chroma (tag 530).
  var subsampling: (columns: Int, rows: Int) {
    var (columns, rows): (UInt16, UInt16) = (0, 0)
    _ = withUnsafePointer(to: library) { image_tiff_get_subsampling($0, tiff, &columns, &rows) }
    return (Int(columns), Int(rows))
  }

  func askForRGB() { _ = withUnsafePointer(to: library) { image_tiff_ask_for_rgb($0, tiff) } }

  /// Why rows could not be read.
  func failure(row: Int, _ layout: TIFFLayout) -> Failure {
    do throws(Failure) { try stream.check() } catch { return error }
    return watch.failure(
      .malformed, "the TIFF image is damaged or cut off: row \(row) cannot be read (\(layout.compressionName))")
  }
}

private func readBytes(_ context: UnsafeMutableRawPointer?, _ buffer: UnsafeMutableRawPointer?, _ count: tmsize_t)
  -> tmsize_t
{
  tmsize_t(ImageStream.from(context)?.read(buffer, Int(count)) ?? 0)
}

private func refuseToWrite(_: UnsafeMutableRawPointer?, _: UnsafeMutableRawPointer?, _: tmsize_t) -> tmsize_t { 0 }

/// As lseek(2). Places behind the end are none.
private func seekBytes(_ context: UnsafeMutableRawPointer?, _ offset: UInt64, _ whence: Int32) -> UInt64 {
  guard let stream = ImageStream.from(context) else { return UInt64.max }
  let base =
    switch whence {
    case 1: stream.position
    case 2: stream.source.count
    default: 0
    }
  let (target, overflow) = Int64(truncatingIfNeeded: base).addingReportingOverflow(Int64(truncatingIfNeeded: offset))
  guard !overflow, stream.seek(to: Int(target)) else { return UInt64.max }
  return UInt64(target)
}

private func closeNothing(_: UnsafeMutableRawPointer?) -> Int32 { 0 }

private func countBytes(_ context: UnsafeMutableRawPointer?) -> UInt64 {
  ImageStream.from(context).map { UInt64($0.source.count) } ?? 0
}

/// Bytes that are in memory need no copy.
private func mapBytes(
  _ context: UnsafeMutableRawPointer?, _ base: UnsafeMutablePointer<UnsafeMutableRawPointer?>?,
  _ size: UnsafeMutablePointer<UInt64>?
) -> Int32 {
  guard case .memory(let bytes)? = ImageStream.from(context)?.source, let start = bytes.baseAddress else { return 0 }
  base?.pointee = UnsafeMutableRawPointer(mutating: start)
  size?.pointee = UInt64(bytes.count)
  return 1
}

private func unmapNothing(_: UnsafeMutableRawPointer?, _: UnsafeMutableRawPointer?, _: UInt64) {}
