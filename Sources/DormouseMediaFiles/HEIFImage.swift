import CImageLibraries
import DormouseSupport

/// The main image of a HEIC or AVIF, decoded by libheif: rotated, mirrored and put together from its tiles as the
/// file says, alpha left out.
final class HEIFImage {
  private let library: image_heif_functions
  private let context: OpaquePointer
  private let stream: ImageStream
  private let watch: MediaWatch
  private let reader: UnsafeMutablePointer<heif_reader>

  /// libheif's own limit of a side.
  private static let longestSide = 32768

  static func read(_ source: ByteSource, format: ImageFormat, watch: MediaWatch) throws(Failure) -> RGBFrame {
    try HEIFImage(source, format: format, watch: watch).read()
  }

  private init(_ source: ByteSource, format: ImageFormat, watch: MediaWatch) throws(Failure) {
    library = try ImageLibraries.heif(format.rawValue.uppercased(), watch)
    guard let context = library.heif_context_alloc() else {
      throw watch.failure(.outOfMemory, "no memory for an image")
    }
    self.context = context
    self.watch = watch
    stream = ImageStream(source, watch: watch)
    reader = UnsafeMutablePointer<heif_reader>.allocate(capacity: 1)
    reader.initialize(to: HEIFImage.calls)
    // Tiles one after the other on this thread, which is the one that may ask whether to stop.
    library.heif_context_set_max_decoding_threads(context, 0)
    library.heif_context_set_maximum_image_size_limit(
      context, Int32(min(watch.limits.pixelLimit, HEIFImage.longestSide)))
  }

  deinit {
    library.heif_context_free(context)
    reader.deallocate()
  }

  private static var calls: heif_reader {
    var calls = heif_reader()
    calls.reader_api_version = 1
    calls.get_position = { context in Int64(ImageStream.from(context)?.position ?? 0) }
    calls.read = { buffer, count, context in ImageStream.from(context)?.read(buffer, count) == count ? 0 : 1 }
    calls.seek = { position, context in ImageStream.from(context)?.seek(to: Int(position)) == true ? 0 : 1 }
    calls.wait_for_file_size = { size, context in
      guard let stream = ImageStream.from(context), size <= Int64(stream.source.count) else {
        return heif_reader_grow_status_size_beyond_eof
      }
      return heif_reader_grow_status_size_reached
    }
    return calls
  }

  private func read() throws(Failure) -> RGBFrame {
    try check(library.heif_context_read_from_reader(context, reader, stream.context, nil), "cannot be opened")
    var handle: OpaquePointer?
    try check(library.heif_context_get_primary_image_handle(context, &handle), "cannot be opened")
    defer { library.heif_image_handle_release(handle) }
    let width = Int(library.heif_image_handle_get_width(handle))
    let height = Int(library.heif_image_handle_get_height(handle))
    try watch.checkSize(width: width, height: height)
    try CodedSize.check(HEIFItems(stream.source, watch: watch), stream.source, watch)
    let options = library.heif_decoding_options_alloc()
    defer { library.heif_decoding_options_free(options) }
    options?.pointee.convert_hdr_to_8bit = 1
    var image: OpaquePointer?
    try check(
      library.heif_decode_image(handle, &image, heif_colorspace_RGB, heif_chroma_interleaved_RGB, options),
      "cannot be decoded")
    defer { library.heif_image_release(image) }
    try stream.check()
    return try copy(image)
  }

  private func copy(_ image: OpaquePointer?) throws(Failure) -> RGBFrame {
    let width = Int(library.heif_image_get_width(image, heif_channel_interleaved))
    let height = Int(library.heif_image_get_height(image, heif_channel_interleaved))
    let result = try RGBFrame(width: width, height: height, watch: watch)
    var stride: Int32 = 0
    guard let pixels = library.heif_image_get_plane_readonly(image, heif_channel_interleaved, &stride),
      Int(stride) >= 3 * width
    else { throw watch.failure(.malformed, "the image has no pixels") }
    for y in 0..<height {
      let row = UnsafeRawBufferPointer(start: pixels + y * Int(stride), count: 3 * width)
      UnsafeMutableRawBufferPointer(result.row(y)).copyMemory(from: row)
    }
    return result
  }

  private func check(_ error: heif_error, _ problem: String) throws(Failure) {
    guard error.code != heif_error_Ok else { return }
    try stream.check()
    let status: Status =
      switch error.code {
      case heif_error_Memory_allocation_error where error.subcode != heif_suberror_Security_limit_exceeded: .outOfMemory
      case heif_error_Unsupported_feature, heif_error_Unsupported_filetype, heif_error_Memory_allocation_error,
        heif_error_Plugin_loading_error:
        .unsupported
      default: .malformed
      }
    let reason = error.message.map { ": " + Excerpt.name(String(cString: $0)) } ?? ""
    throw watch.failure(status, "the image \(problem)\(reason)")
  }
}
