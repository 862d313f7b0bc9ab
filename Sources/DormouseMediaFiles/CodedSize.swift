import CFFmpeg
import DormouseSupport

/// The size of images as their codec's own headers tell it, which is what a decoder takes memory for; the container
/// may say another one. Parsers of FFmpeg's read it without decoding.
enum CodedSize {
  /// Throws where an image of a HEIC or AVIF is larger than the limit allows. What has no size that can be read is left
  /// to the decoder.
  static func check(_ items: HEIFItems, _ source: ByteSource, _ watch: MediaWatch) throws(Failure) {
    // Items may share bytes, but not without end.
    var left = try CheckedSize.sum(4 * min(source.count, 1 << 40), 1 << 20, of: "the file's size")
    for item in items.items {
      left -= min(item.data.count, left)
      guard left > 0 else {
        throw watch.failure(.unsupported, "the parts of the image have more bytes than the file")
      }
      let packet = try Packet(.parts(item.data), at: 0, count: item.data.count, watch: watch)
      let parameters = item.kind == "hvc1" ? items.parameters : [[]]
      for parameters in parameters {
        try watch.check()
        try check(packet, item.kind == "hvc1" ? AV_CODEC_ID_HEVC : AV_CODEC_ID_AV1, parameters, watch)
      }
    }
  }

  private static func check(
    _ packet: Packet, _ codec: AVCodecID, _ parameters: [UInt8], _ watch: MediaWatch
  ) throws(Failure) {
    guard let parser = av_parser_init(Int32(codec.rawValue)) else { return }
    defer { av_parser_close(parser) }
    var context: UnsafeMutablePointer<AVCodecContext>? = try watch.allocated(avcodec_alloc_context3(nil))
    defer { avcodec_free_context(&context) }
    guard let context else { return }
    context.pointee.codec_id = codec
    context.pointee.log_level_offset = QuietContext.levelOffset
    if !parameters.isEmpty {
      let padded = parameters.count + Int(AV_INPUT_BUFFER_PADDING_SIZE)
      let copy = try watch.allocated(av_mallocz(padded)).assumingMemoryBound(to: UInt8.self)
      copy.update(from: parameters, count: parameters.count)
      context.pointee.extradata = copy
      context.pointee.extradata_size = Int32(parameters.count)
    }
    parser.pointee.flags |= PARSER_FLAG_COMPLETE_FRAMES
    var (output, outputSize): (UnsafeMutablePointer<UInt8>?, Int32) = (nil, 0)
    av_parser_parse2(
      parser, context, &output, &outputSize, packet.pointer.pointee.data, packet.pointer.pointee.size,
      ffmpeg_no_timestamp, ffmpeg_no_timestamp, 0)
    let width = max(Int(parser.pointee.width), Int(parser.pointee.coded_width))
    let height = max(Int(parser.pointee.height), Int(parser.pointee.coded_height))
    guard width > 0, height > 0 else { return }
    // Codecs round sizes up to whole blocks.
    guard width <= (watch.limits.pixelLimit + CodecDecoder.alignmentPixels) / height else {
      throw watch.failure(
        .unsupported,
        "a coded image has \(width) x \(height) pixels, more than max_pixels, \(watch.limits.pixelLimit)")
    }
  }
}
