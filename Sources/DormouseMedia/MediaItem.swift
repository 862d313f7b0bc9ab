public import DormouseKernels
public import DormouseSupport

/// A picture, clip or sound, as it was decoded from a file or as a host has it.
public enum MediaItem: Sendable {
  case image(RGBImage)
  /// - Parameter framesPerSecond: of those that are looked at; nil for what the model's files say.
  case video(any Film, framesPerSecond: Double?)
  case audio(any Sound)

  public var modality: Modality {
    switch self {
    case .image: .image
    case .video: .video
    case .audio: .audio
    }
  }
}

/// Frames, decoded when they are asked for. Thread: one call at a time.
public protocol Film: Sendable {
  var frameCount: Int { get }
  /// On average.
  var framesPerSecond: Double { get }
  /// When each frame is shown, in seconds; nil where the rate does not vary.
  var timestamps: [Double]? { get }
  var width: Int { get }
  var height: Int { get }

  /// - Parameter numbers: of frames, ascending.
  func frames(_ numbers: [Int]) throws(Failure) -> [RGBImage]

  /// A hash of everything that its frames depend on.
  func contentHash() throws(Failure) -> ContentHash
}

/// Samples, decoded when they are asked for. Thread: one call at a time.
public protocol Sound: Sendable {
  /// One channel at `rate` samples a second.
  func samples(rate: Int, kernels: Kernels) throws(Failure) -> [Float]
}

/// Frames that a host has in memory.
public struct HeldFilm: Film {
  public let framesPerSecond: Double
  public let timestamps: [Double]?
  private let images: [RGBImage]

  /// - Parameters:
  ///   - images: at least one, all of one size.
  ///   - timestamps: one for each, ascending; nil for frames at `framesPerSecond`.
  /// - Throws: `Failure(.invalidArgument)`.
  public init(_ images: [RGBImage], framesPerSecond: Double, timestamps: [Double]? = nil) throws(Failure) {
    guard let first = images.first else { throw Failure(.invalidArgument, "a film has 0 frames; expected at least 1") }
    for (index, image) in images.enumerated() where image.width != first.width || image.height != first.height {
      throw Failure(
        .invalidArgument,
        "frame \(index) has \(image.width) x \(image.height) pixels; expected \(first.width) x \(first.height) as the"
          + " first")
    }
    guard framesPerSecond > 0, framesPerSecond.isFinite else {
      throw Failure(.invalidArgument, "a film has \(framesPerSecond) frames a second; expected a positive number")
    }
    if let timestamps {
      guard timestamps.count == images.count else {
        throw Failure(
          .invalidArgument, "a film of \(images.count) frames has \(timestamps.count) timestamps; expected one for each"
        )
      }
      for index in timestamps.indices.dropFirst() where !(timestamps[index] >= timestamps[index - 1]) {
        throw Failure(
          .invalidArgument,
          "timestamp \(index) is \(timestamps[index]), after \(timestamps[index - 1]); expected an ascending order")
      }
    }
    self.images = images
    self.framesPerSecond = framesPerSecond
    self.timestamps = timestamps
  }

  public var frameCount: Int { images.count }
  public var width: Int { images.first?.width ?? 0 }
  public var height: Int { images.first?.height ?? 0 }

  public func frames(_ numbers: [Int]) throws(Failure) -> [RGBImage] {
    var frames: [RGBImage] = []
    for number in numbers {
      guard images.indices.contains(number) else {
        throw Failure(.invalidArgument, "a film of \(images.count) frames has no frame \(number)")
      }
      frames.append(images[number])
    }
    return frames
  }

  public func contentHash() throws(Failure) -> ContentHash {
    var hash = BLAKE2b()
    for image in images {
      try image.withBytes { bytes in hash.update(UnsafeRawBufferPointer(start: bytes, count: image.byteCount)) }
    }
    for time in timestamps ?? [framesPerSecond] { withUnsafeBytes(of: time) { hash.update($0) } }
    withUnsafeBytes(of: (width, height)) { hash.update($0) }
    return ContentHash(hash.finish())
  }
}

/// Samples that a host has in memory.
public struct HeldSound: Sound {
  private let mono: [Float]
  private let rate: Int

  /// - Parameters:
  ///   - samples: [frames, channels], finite.
  ///   - rate: samples a second of each channel.
  /// - Throws: `Failure(.invalidArgument)`.
  public init(_ samples: UnsafeBufferPointer<Float>, channels: Int, rate: Int) throws(Failure) {
    guard !samples.isEmpty else { throw Failure(.invalidArgument, "a sound has 0 samples; expected at least 1") }
    guard Resampler.rateRange.contains(rate) else {
      throw Failure(
        .invalidArgument,
        "a sound has \(rate) samples a second; expected \(Resampler.rateRange.lowerBound) to"
          + " \(Resampler.rateRange.upperBound)")
    }
    try Waveform.requireFinite(samples)
    var mono = [Float](repeating: 0, count: samples.count / max(channels, 1))
    let outcome: Result<Void, Failure> = mono.withUnsafeMutableBufferPointer { mono in
      Result { () throws(Failure) in try Waveform.mixDown(samples, channels: channels, into: mono) }
    }
    try outcome.get()
    self.mono = mono
    self.rate = rate
  }

  public func samples(rate wanted: Int, kernels: Kernels) throws(Failure) -> [Float] {
    guard wanted != rate else { return mono }
    var resampler = try Resampler(from: rate, to: wanted, kernels: kernels)
    return try resampler.all(mono)
  }
}
