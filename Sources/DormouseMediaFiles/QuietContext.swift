import CFFmpeg
import DormouseSupport

/// Keeps FFmpeg's messages about one context from being written, for this context alone.
///
/// The level and the callback of FFmpeg's log are global, and belong to the host. But every message's level is raised
/// by a number that its context may hold (AVClass.log_level_offset_offset, libavutil/log.h), and a level beyond
/// AV_LOG_TRACE is written only by a host that asks for more than everything. Codecs have such a number; a demuxer gets
/// a copy of its class that takes the user's word `opaque` for one.
final class QuietContext {
  /// Raises a fatal error beyond the most talkative level, and keeps every level within the eight bits that count.
  static let levelOffset: Int32 = 100

  private let description: UnsafeMutablePointer<AVClass>

  /// - Parameter format: a demuxer's context, which must end before this object.
  init?(_ format: UnsafeMutablePointer<AVFormatContext>) {
    guard let original = format.pointee.av_class else { return nil }
    description = UnsafeMutablePointer<AVClass>.allocate(capacity: 1)
    description.initialize(to: original.pointee)
    description.pointee.log_level_offset_offset = ffmpeg_format_opaque_offset
    format.pointee.opaque = UnsafeMutableRawPointer(bitPattern: UInt(QuietContext.levelOffset))
    format.pointee.av_class = UnsafePointer(description)
  }

  deinit { description.deallocate() }
}
