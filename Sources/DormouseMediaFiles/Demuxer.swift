import CFFmpeg
import DormouseSupport

/// A video or audio file opened by FFmpeg: its tracks, and their packets in the file's order.
final class Demuxer {
  private let stream: InputStream
  private let watch: MediaWatch
  private var context: UnsafeMutablePointer<AVFormatContext>?
  private var quiet: QuietContext?
  private var selected: [Int32] = []
  /// FFmpeg's name of the format.
  let format: String

  /// Tracks beyond this number are refused.
  private static let trackLimit = 64
  /// Bytes of the beginning that the format is told from.
  private static let probeByteCount = 1 << 20

  init(_ source: ByteSource, watch: MediaWatch) throws(Failure) {
    self.watch = watch
    let untagged = try ContainerMetadata.removeInFront(of: source, watch)
    let input = try Demuxer.inputFormat(untagged, watch)
    format = String(cString: input.pointee.name)
    stream = try InputStream(ContainerMetadata.remove(from: untagged, format: format, watch), watch: watch)
    var context = try watch.allocated(avformat_alloc_context()) as UnsafeMutablePointer<AVFormatContext>?
    quiet = context.flatMap { QuietContext($0) }
    if let context { configure(context) }
    var options: OpaquePointer?
    defer { av_dict_free(&options) }
    // On failure the context is freed and NULL.
    let code = avformat_open_input(&context, nil, input, &options)
    self.context = context
    try checked(code, "cannot open the file as \(MediaCodecs.demuxers[format] ?? format)")
  }

  /// Throws for a negative code: what reading the file has failed with, if that is the reason.
  private func checked(_ code: Int32, _ action: @autoclosure () -> String) throws(Failure) {
    if code < 0, let problem = stream.problem { throw problem }
    try watch.checked(code, action())
  }

  deinit { avformat_close_input(&context) }

  private func configure(_ context: UnsafeMutablePointer<AVFormatContext>) {
    context.pointee.pb = stream.context
    context.pointee.flags |= AVFMT_FLAG_CUSTOM_IO
    context.pointee.max_streams = Int32(Demuxer.trackLimit)
    // A file that names another one is told that it may not.
    context.pointee.io_open = { _, _, _, _, _ in ffmpeg_error_permission }
    context.pointee.interrupt_callback = AVIOInterruptCB(
      callback: { $0.map { Unmanaged<MediaWatch>.fromOpaque($0).takeUnretainedValue().isStopped ? 1 : 0 } ?? 0 },
      opaque: Unmanaged.passUnretained(watch).toOpaque())
  }

  /// The format that the first bytes tell, which must be one of `MediaCodecs.demuxers`.
  private static func inputFormat(_ source: ByteSource, _ watch: MediaWatch) throws(Failure)
    -> UnsafePointer<AVInputFormat>
  {
    var bytes = try source.prefix(probeByteCount)
    let count = bytes.count
    bytes += [UInt8](repeating: 0, count: Int(AVPROBE_PADDING_SIZE))
    let found = bytes.withUnsafeMutableBufferPointer { buffer in
      var data = AVProbeData(filename: nil, buf: buffer.baseAddress, buf_size: Int32(count), mime_type: nil)
      var score: Int32 = 0
      return av_probe_input_format3(&data, 1, &score)
    }
    guard let found else { throw watch.failure(.unsupported, "this is no image, video or audio of a known format") }
    let name = String(cString: found.pointee.name)
    guard MediaCodecs.demuxers[name] != nil else {
      throw watch.failure(.unsupported, "files of the format \(Excerpt.name(name)) are not supported")
    }
    return found
  }

  /// Valid as long as this object.
  var streams: [UnsafeMutablePointer<AVStream>] {
    guard let context, let streams = context.pointee.streams else { return [] }
    return (0..<Int(context.pointee.nb_streams)).compactMap { streams[$0] }
  }

  /// Leaves the packets of all other tracks out.
  func select(_ wanted: [Int32]) {
    selected = wanted
    for track in streams {
      track.pointee.discard = wanted.contains(track.pointee.index) ? AVDISCARD_DEFAULT : AVDISCARD_ALL
    }
  }

  /// Reads the next packet of the selected tracks; false at the end. A file that is cut off ends where it is cut.
  func read(_ packet: Packet) throws(Failure) -> Bool {
    guard let context else { return false }
    // A cover comes out once, whether it is wanted or not.
    repeat {
      try watch.check()
      packet.clear()
      stream.continueReading()
      let code = av_read_frame(context, packet.pointer)
      guard code != ffmpeg_error_end else { return false }
      // What a file that is cut off lacks reads as damage.
      let isDamage = code == ffmpeg_error_invalid_data || code == ffmpeg_error_input_output
      if isDamage, stream.isCutOff, stream.problem == nil { return false }
      try checked(code, "cannot read the file")
    } while !selected.contains(packet.pointer.pointee.stream_index)
    return true
  }

  /// Goes to a key frame at or before `timestamp`; false where the format can't.
  func seek(track: Int32, timestamp: Int64) -> Bool {
    guard let context else { return false }
    return avformat_seek_file(context, track, Int64.min, timestamp, timestamp, 0) >= 0
  }
}
