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

  /// A hash of everything that its samples depend on.
  func contentHash() throws(Failure) -> ContentHash
}
