public import DormouseSupport

/// Frames that a host has in memory.
public struct HeldVideo: Video {
  public let framesPerSecond: Double
  public let timestamps: [Double]?
  private let images: [RGBImage]

  /// - Parameter images: at least one, all of one size, shown one after the other at this rate.
  /// - Throws: `Failure(.invalidArgument)`.
  public init(_ images: [RGBImage], framesPerSecond: Double) throws(Failure) {
    guard framesPerSecond > 0, framesPerSecond.isFinite else {
      throw Failure(.invalidArgument, "a video has \(framesPerSecond) frames a second; expected a positive number")
    }
    try Self.check(images)
    self.images = images
    self.framesPerSecond = framesPerSecond
    timestamps = nil
  }

  /// - Parameters:
  ///   - images: at least one, all of one size.
  ///   - timestamps: when each is shown, in seconds, ascending.
  /// - Throws: `Failure(.invalidArgument)`.
  public init(_ images: [RGBImage], timestamps: [Double]) throws(Failure) {
    try Self.check(images)
    guard timestamps.count == images.count, let first = timestamps.first, let last = timestamps.last else {
      throw Failure(
        .invalidArgument, "a video of \(images.count) frames has \(timestamps.count) timestamps; expected one for each")
    }
    guard timestamps.allSatisfy(\.isFinite), first >= 0 else {
      throw Failure(.invalidArgument, "a video has a timestamp that is negative or no number")
    }
    for index in timestamps.indices.dropFirst() where timestamps[index] <= timestamps[index - 1] {
      throw Failure(
        .invalidArgument,
        "timestamp \(index) is \(timestamps[index]), after \(timestamps[index - 1]); expected a later one")
    }
    self.images = images
    self.timestamps = timestamps
    framesPerSecond = images.count > 1 ? Double(images.count - 1) / (last - first) : 1
  }

  private static func check(_ images: [RGBImage]) throws(Failure) {
    guard let first = images.first else { throw Failure(.invalidArgument, "a video has 0 frames; expected at least 1") }
    for (index, image) in images.enumerated() where image.width != first.width || image.height != first.height {
      throw Failure(
        .invalidArgument,
        "frame \(index) has \(image.width) x \(image.height) pixels; expected \(first.width) x \(first.height) as the"
          + " first")
    }
  }

  public var frameCount: Int { images.count }
  public var width: Int { images.first?.width ?? 0 }
  public var height: Int { images.first?.height ?? 0 }

  public func frames(_ numbers: [Int], _ interruption: Interruption) throws(Failure) -> [RGBImage] {
    var frames: [RGBImage] = []
    for number in numbers {
      guard images.indices.contains(number) else {
        throw Failure(.invalidArgument, "a video of \(images.count) frames has no frame \(number)")
      }
      frames.append(images[number])
    }
    return frames
  }

  public func contentHash(_ interruption: Interruption) throws(Failure) -> ContentHash {
    var hash = BLAKE2b()
    withUnsafeBytes(of: (width, height)) { hash.update($0) }
    for time in timestamps ?? [framesPerSecond] { withUnsafeBytes(of: time) { hash.update($0) } }
    for image in images {
      try interruption.check()
      try image.withBytes { bytes in hash.update(UnsafeRawBufferPointer(start: bytes, count: image.byteCount)) }
    }
    return ContentHash(hash.finish())
  }
}
