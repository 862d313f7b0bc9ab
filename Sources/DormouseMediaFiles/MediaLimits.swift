import DormouseSupport

/// What a caller allows one file to cost. Every limit is checked before memory is taken for what it limits.
struct MediaLimits: Sendable {
  /// Threads of a decoder, the calling one included.
  var threadCount = 1
  /// Bytes of the file.
  var byteLimit = 2 << 30
  /// Width times height of an image or frame.
  var pixelLimit = 1 << 26
  /// Frames of a video.
  var frameLimit = 1 << 20
  /// Bytes of pixels and samples given out in all.
  var outputLimit = 8 << 30
  /// Seconds of a video or of audio.
  var secondLimit = 6.0 * 3600
  /// Seconds that one call may take.
  var timeLimit = 300.0

  /// The largest `pixelLimit`: a frame of four bytes a pixel still has a size that FFmpeg counts in 32 bits.
  static let largestPixelLimit = 1 << 28
  static let largestThreadCount = 64
}
