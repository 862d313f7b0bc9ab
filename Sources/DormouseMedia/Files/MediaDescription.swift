import CDormouseMedia

/// What a media file is.
public struct MediaDescription: Sendable, Equatable {
  /// FFmpeg's name of the format, such as `matroska,webm`, or an image's, such as `jpeg`.
  public var format: String
  /// Pixels as shown; 0: audio alone.
  public var width: Int
  public var height: Int
  /// 1: an image; 0: audio alone.
  public var frameCount: UInt64
  /// Seconds of the frames, and frames a second; 0 for an image.
  public var duration: Double
  public var frameRate: Double
  /// Of the audio; 0 channels: none.
  public var channelCount: Int
  public var sampleRate: Int
  public var audioDuration: Double

  init(_ info: dormouse_media_info) {
    format = withUnsafeBytes(of: info.format) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    width = Int(info.width)
    height = Int(info.height)
    frameCount = info.frame_count
    duration = info.duration
    frameRate = info.frame_rate
    channelCount = Int(info.channel_count)
    sampleRate = Int(info.sample_rate)
    audioDuration = info.audio_duration
  }
}

/// A decoded image: bytes [height, width, 3], red, green, blue.
public struct MediaImage: Sendable, Equatable {
  public var width: Int
  public var height: Int
  public var bytes: [UInt8]
}

/// A frame of a video while a receiver has it: bytes [height, width, 3], red, green, blue.
public struct MediaFrame {
  public var index: Int
  /// After the first frame.
  public var seconds: Double
  public var width: Int
  public var height: Int
  public var bytes: UnsafeRawBufferPointer
}
