import CFFmpeg
import DormouseSupport

/// One of FFmpeg's decoders: packets in, frames out, in the order in which they are shown.
final class CodecDecoder {
  private let context: UnsafeMutablePointer<AVCodecContext>
  private let watch: MediaWatch
  private let what: String
  private let codec: AVCodecID
  /// The frame that `next` has decoded, valid until it is called again.
  let frame: UnsafeMutablePointer<AVFrame>

  /// FFmpeg holds rows that are rounded up to `max_pixels`, too: what they may add to an image within the limit.
  static let alignmentPixels = 1 << 22

  /// - Parameters:
  ///   - parameters: of the track; nil for an image.
  ///   - options: a decoder's own, by FFmpeg's names.
  ///   - what: what it decodes, for sentences: "the image", "the video", "the audio".
  init(
    _ codec: AVCodecID, parameters: UnsafePointer<AVCodecParameters>? = nil, options: [String: String] = [:],
    what: String, watch: MediaWatch, configure: (UnsafeMutablePointer<AVCodecContext>) -> Void = { _ in }
  ) throws(Failure) {
    guard let implementation = avcodec_find_decoder(codec) else {
      throw watch.failure(.unsupported, "this FFmpeg has no decoder for \(MediaCodecs.name(codec))")
    }
    self.watch = watch
    self.what = what
    self.codec = codec
    var allocated: UnsafeMutablePointer<AVCodecContext>? = try watch.allocated(avcodec_alloc_context3(implementation))
    guard let frame = av_frame_alloc(), let context = allocated else {
      avcodec_free_context(&allocated)
      throw watch.failure(.outOfMemory, "no memory for a decoder")
    }
    self.frame = frame
    self.context = context
    if let parameters {
      try watch.checked(avcodec_parameters_to_context(context, parameters), "cannot decode \(what)")
      if let bytes = context.pointee.extradata, context.pointee.extradata_size > 0 {
        let bytes = UnsafeMutableRawBufferPointer(start: bytes, count: Int(context.pointee.extradata_size))
        context.pointee.extradata_size = Int32(ImageMetadata.remove(from: bytes, codec))
      }
    }
    context.pointee.log_level_offset = QuietContext.levelOffset
    context.pointee.thread_count = Int32(watch.limits.threadCount)
    context.pointee.max_pixels = Int64(watch.limits.pixelLimit + CodecDecoder.alignmentPixels)
    configure(context)
    try open(implementation, options)
  }

  deinit {
    var freedContext: UnsafeMutablePointer<AVCodecContext>? = context
    avcodec_free_context(&freedContext)
    var freedFrame: UnsafeMutablePointer<AVFrame>? = frame
    av_frame_free(&freedFrame)
  }

  private func open(_ codec: UnsafePointer<AVCodec>, _ options: [String: String]) throws(Failure) {
    var dictionary: OpaquePointer?
    defer { av_dict_free(&dictionary) }
    for (name, value) in options { av_dict_set(&dictionary, name, value, 0) }
    try watch.checked(avcodec_open2(context, codec, &dictionary), "cannot decode \(what)")
  }

  /// Gives the decoder a packet without its metadata, or nil after the last one. Every frame must have been taken
  /// before.
  func send(_ packet: Packet?) -> Int32 {
    guard let packet else { return avcodec_send_packet(context, nil) }
    if ImageMetadata.mayBe(in: codec) {
      let code = av_packet_make_writable(packet.pointer)
      guard code >= 0 else { return code }
      let bytes = UnsafeMutableRawBufferPointer(
        start: packet.pointer.pointee.data, count: Int(max(packet.pointer.pointee.size, 0)))
      av_shrink_packet(packet.pointer, Int32(ImageMetadata.remove(from: bytes, codec)))
    }
    return avcodec_send_packet(context, packet.pointer)
  }

  /// Decodes the next frame into `frame`; false when another packet is needed, or after the last frame.
  func next() throws(Failure) -> Bool {
    let code = avcodec_receive_frame(context, frame)
    guard code != ffmpeg_error_again, code != ffmpeg_error_end else { return false }
    try watch.checked(code, "cannot decode \(what)")
    return true
  }

  /// Forgets everything that came before, for packets from elsewhere in the file.
  func flush() { avcodec_flush_buffers(context) }

  /// Decodes a packet that holds one frame, and lends it to `use`.
  func decodeOne<Result>(
    _ packet: Packet, _ use: (UnsafeMutablePointer<AVFrame>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try watch.check()
    try watch.checked(send(packet), "cannot decode \(what)")
    if try !next() {
      try watch.checked(send(nil), "cannot decode \(what)")
      guard try next() else { throw watch.failure(.malformed, "\(what) has no pixels") }
    }
    return try use(frame)
  }
}
