import CFFmpeg
import DormouseSupport

/// Compressed data of one track, freed with this object.
final class Packet {
  private(set) var pointer: UnsafeMutablePointer<AVPacket>

  init(watch: MediaWatch) throws(Failure) { pointer = try watch.allocated(av_packet_alloc()) }

  /// A packet with `front`, a copy of the `count` bytes at `offset` of `source`, and the zeroes behind them that
  /// decoders read.
  convenience init(front: [UInt8] = [], _ source: ByteSource, at offset: Int, count: Int, watch: MediaWatch)
    throws(Failure)
  {
    try self.init(watch: watch)
    guard count <= Int(Int32.max) - front.count - Int(AV_INPUT_BUFFER_PADDING_SIZE) else {
      throw watch.failure(.unsupported, "an image of \(count) bytes is too large")
    }
    try watch.checked(av_new_packet(pointer, Int32(front.count + count)), "cannot read the image")
    let buffer = UnsafeMutableRawBufferPointer(start: pointer.pointee.data, count: front.count + count)
    buffer.copyBytes(from: front)
    try source.read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[front.count...]), at: offset)
    pointer.pointee.pts = 0
    pointer.pointee.dts = 0
    pointer.pointee.flags |= AV_PKT_FLAG_KEY
  }

  deinit {
    var freed: UnsafeMutablePointer<AVPacket>? = pointer
    av_packet_free(&freed)
  }

  func clear() { av_packet_unref(pointer) }

  /// When the contents are shown, in the track's units, as far as the file tells.
  var timestamp: Int64 { pointer.pointee.pts != ffmpeg_no_timestamp ? pointer.pointee.pts : pointer.pointee.dts }
}
