internal import CDormouse

/// An image, a video or audio: for a chat, whose messages call it `attachment:N`, or for a transcriber. Any thread.
public final class MediaAttachment: Sendable {
  /// Valid as long as this object: `dormouse_attachment_free` takes it.
  nonisolated(unsafe) let handle: OpaquePointer
  /// Samples that belong together in audio that samples were given for; 0 for everything else.
  private let channelCount: Int

  /// What a file is read as.
  public enum Kind: Sendable {
    case image
    case video
    case audio
  }

  /// When the frames of a video are shown.
  public enum Timing: Sendable {
    case framesPerSecond(Double)
    /// Seconds, one for each frame, ascending.
    case timestamps([Double])
  }

  private init(_ body: (UnsafeMutablePointer<OpaquePointer?>, ErrorPointer) -> dormouse_status, channelCount: Int = 0)
    throws(DormouseError)
  {
    handle = try Call.open("attachment", body)
    self.channelCount = channelCount
  }

  deinit { dormouse_attachment_free(handle) }

  // MARK: - Files

  /// The file at `path`. A video or audio is decoded when it is used.
  /// - Throws: `notFound`, `inputOutput`, `malformed` or `unsupported` for a file in which nothing of the kind can be read,
  ///   `unsupported` where libdormouse_media is missing.
  public convenience init(_ kind: Kind, path: String) throws(DormouseError) {
    try self.init { dormouse_attachment_create_from_file($0, kind.number, path, $1) }
  }

  /// The bytes of a file, which are copied.
  /// - Throws: `invalidArgument` for none, and as for the file.
  public convenience init(_ kind: Kind, bytes: [UInt8]) throws(DormouseError) {
    try self.init { dormouse_attachment_create_from_bytes($0, kind.number, bytes, bytes.count, $1) }
  }

  // MARK: - Memory

  /// An image.
  /// - Parameter pixels: [height, width, 3], red, green and blue.
  /// - Throws: `invalidArgument` for another number of bytes, or sides out of range.
  public convenience init(pixels: [UInt8], width: UInt32, height: UInt32) throws(DormouseError) {
    try Self.check(pixels, frames: 1, width, height)
    try self.init { dormouse_attachment_create_image($0, pixels, width, height, $1) }
  }

  /// A video.
  /// - Parameter frames: [frame count, height, width, 3], red, green and blue.
  /// - Throws: `invalidArgument` for another number of bytes or of timestamps, timestamps that don't ascend, or sides out
  ///   of range.
  public convenience init(
    frames: [UInt8], count: Int, width: UInt32, height: UInt32, _ timing: Timing
  ) throws(DormouseError) {
    try Self.check(frames, frames: count, width, height)
    switch timing {
    case .framesPerSecond(let rate):
      try self.init { dormouse_attachment_create_video($0, frames, count, width, height, nil, rate, $1) }
    case .timestamps(let times):
      guard times.count == count else {
        throw DormouseError(.invalidArgument, "there are \(times.count) timestamps for \(count) frames")
      }
      try self.init { dormouse_attachment_create_video($0, frames, count, width, height, times, 0, $1) }
    }
  }

  /// Audio, which may be empty and grow.
  /// - Parameters:
  ///   - samples: [any number, channels], from -1 to 1.
  ///   - rate: of each channel, a second.
  /// - Throws: `invalidArgument` for samples that are not finite or do not fill all channels, or no channels or rate.
  public convenience init(samples: [Float], channels: UInt32 = 1, rate: UInt32) throws(DormouseError) {
    let count = try Self.frames(of: samples, Int(channels))
    try self.init(
      { dormouse_attachment_create_audio($0, samples, count, channels, rate, $1) }, channelCount: Int(channels))
  }

  /// Adds samples at the end of audio that was made of samples. Calls that have begun with it do not see them.
  /// - Throws: `invalidArgument` as for the first ones, and for everything that is not such audio.
  public func append(samples: [Float]) throws(DormouseError) {
    let count = try Self.frames(of: samples, channelCount)
    try Call.run { dormouse_attachment_append_audio(handle, samples, count, $0) }
  }

  private static func check(_ pixels: [UInt8], frames: Int, _ width: UInt32, _ height: UInt32) throws(DormouseError) {
    let image = (Int(width) * 3).multipliedReportingOverflow(by: Int(height))
    let size = image.partialValue.multipliedReportingOverflow(by: frames)
    guard !image.overflow, !size.overflow, pixels.count == size.partialValue else {
      throw DormouseError(
        .invalidArgument, "\(pixels.count) bytes are not \(frames) times \(width) x \(height) pixels of 3 bytes")
    }
  }

  private static func frames(of samples: [Float], _ channels: Int) throws(DormouseError) -> Int {
    guard channels > 0, samples.count % channels == 0 else {
      throw DormouseError(.invalidArgument, "\(samples.count) samples do not fill \(channels) channels")
    }
    return samples.count / channels
  }
}

extension MediaAttachment.Kind {
  fileprivate var number: Int32 {
    switch self {
    case .image: Int32(DORMOUSE_ATTACHMENT_IMAGE)
    case .video: Int32(DORMOUSE_ATTACHMENT_VIDEO)
    case .audio: Int32(DORMOUSE_ATTACHMENT_AUDIO)
    }
  }
}

extension [MediaAttachment] {
  /// Runs `body` with the handles and their number, and keeps them until it returns.
  func withHandles<Result>(_ body: (UnsafePointer<OpaquePointer?>?, Int) -> Result) -> Result {
    withExtendedLifetime(self) {
      map { Optional($0.handle) }.withUnsafeBufferPointer { body($0.baseAddress, $0.count) }
    }
  }
}
