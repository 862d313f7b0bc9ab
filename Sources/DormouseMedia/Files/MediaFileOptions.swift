import CDormouseMedia

/// What a media file may cost; 0 is the media library's default (dormouse_media.h).
public struct MediaFileOptions: Sendable {
  /// Threads of a decoder.
  public var threadCount: UInt32 = 0
  /// Bytes of the file.
  public var byteLimit: UInt64 = 0
  /// Width times height.
  public var pixelLimit: UInt64 = 0
  /// Frames of a video.
  public var frameLimit: UInt64 = 0
  /// Bytes of pixels and samples in all.
  public var outputLimit: UInt64 = 0
  /// Seconds of a video or of audio.
  public var secondLimit = 0.0
  /// Seconds that one call may take.
  public var timeLimit = 0.0

  public init() {}

  /// The same for the library, but for what it points to.
  var inC: dormouse_media_options {
    var options = dormouse_media_options()
    options.struct_size = UInt32(MemoryLayout<dormouse_media_options>.size)
    options.thread_count = threadCount
    options.byte_limit = byteLimit
    options.pixel_limit = pixelLimit
    options.frame_limit = frameLimit
    options.output_limit = outputLimit
    options.second_limit = secondLimit
    options.time_limit = timeLimit
    return options
  }
}
