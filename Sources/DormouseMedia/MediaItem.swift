import DormouseAudio
public import DormouseKernels
public import DormouseSupport

/// An image, video or audio, as it was decoded from a file or as a host has it.
public enum MediaItem: Sendable {
  case image(RGBImage)
  /// - Parameter framesPerSecond: of those that are looked at; nil for what the model's files say.
  case video(any Video, framesPerSecond: Double?)
  case audio(any Audio)

  public var modality: Modality {
    switch self {
    case .image: .image
    case .video: .video
    case .audio: .audio
    }
  }
}

/// Frames, decoded when they are asked for. Thread: one call at a time.
public protocol Video: Sendable {
  var frameCount: Int { get }
  /// On average.
  var framesPerSecond: Double { get }
  /// When each frame is shown, in seconds; nil where the rate does not vary.
  var timestamps: [Double]? { get }
  var width: Int { get }
  var height: Int { get }

  /// - Parameter numbers: of frames, ascending.
  func frames(_ numbers: [Int], _ interruption: Interruption) throws(Failure) -> [RGBImage]

  /// A hash of everything that its frames depend on.
  func contentHash(_ interruption: Interruption) throws(Failure) -> ContentHash

  /// The same under tighter limits; see `MediaItem.limited`.
  func limited(by limits: MediaFileOptions, _ interruption: Interruption) throws(Failure) -> any Video
}

/// Samples, decoded when they are asked for. Thread: one call at a time.
public protocol Audio: Sendable {
  /// Seconds that it lasts: exactly where its samples are there, else about as long as its file tells; 0: unknown.
  var seconds: Double { get }

  /// Samples of one channel at `rate` samples a second, where their number is known before they are made.
  func exactSampleCount(rate: Int, kernels: Kernels) throws(Failure) -> Int?

  /// One channel at `rate` samples a second.
  /// - Parameter limit: samples that are wanted at most: longer audio may end anywhere behind them.
  /// - Throws: `Failure(.outOfMemory)` where the terms' budget has no room for them, and what interrupts it.
  func samples(rate: Int, kernels: Kernels, limit: Int?, _ terms: MediaTerms) throws(Failure) -> AudioSamples

  /// A hash of everything that its samples depend on.
  func contentHash(_ interruption: Interruption) throws(Failure) -> ContentHash

  /// The same under tighter limits; see `MediaItem.limited`.
  func limited(by limits: MediaFileOptions, _ interruption: Interruption) throws(Failure) -> any Audio
}
