import DormouseAudio
import DormouseKernels
public import DormouseSupport

/// A video in a file, whose frames are decoded when they are asked for.
final class FileVideo: Video {
  let frameCount: Int
  let framesPerSecond: Double
  let timestamps: [Double]?
  let width: Int
  let height: Int
  private let source: MediaSource
  private let name: String
  private let options: MediaFileOptions
  private let file: Locked<Opened>

  /// A decoder has one caller at a time.
  private struct Opened: @unchecked Sendable {
    let file: MediaFile
  }

  init(
    _ source: MediaSource, name: String, options: MediaFileOptions, _ interruption: Interruption
  ) throws(Failure) {
    let file = try MediaFile(source, name: name, options: options, interruption)
    let description = try file.probe()
    // Where there are none, the library says why.
    if description.frameCount == 0 { try file.frames([0]) { _ in false } }
    let times = try file.timestamps()
    frameCount = times.count
    timestamps = times
    // An image is a video of one frame.
    framesPerSecond = description.frameRate > 0 ? description.frameRate : 1
    width = description.width
    height = description.height
    self.source = source
    self.name = name
    self.options = options
    self.file = Locked(Opened(file: file))
  }

  func frames(_ numbers: [Int], _ interruption: Interruption) throws(Failure) -> [RGBImage] {
    let outcome: Result<[RGBImage], Failure> = file.withLock { opened in
      opened.file.watch(interruption)
      return Result { () throws(Failure) in
        var images: [RGBImage] = []
        try opened.file.frames(numbers) { (frame) throws(Failure) in
          images.append(try RGBImage(width: frame.width, height: frame.height, bytes: Array(frame.bytes)))
          return true
        }
        return images
      }
    }
    return try outcome.get()
  }

  /// Of the file's bytes.
  func contentHash(_ interruption: Interruption) throws(Failure) -> ContentHash {
    try source.contentHash(name, interruption)
  }

  func limited(by limits: MediaFileOptions, _ interruption: Interruption) throws(Failure) -> any Video {
    try FileVideo(source, name: name, options: options.tightened(by: limits), interruption)
  }
}

/// Audio in a file, decoded when it is asked for.
final class FileAudio: Audio {
  let seconds: Double
  private let source: MediaSource
  private let name: String
  private let options: MediaFileOptions

  init(
    _ source: MediaSource, name: String, options: MediaFileOptions, _ interruption: Interruption
  ) throws(Failure) {
    let description = try MediaFile(source, name: name, options: options, interruption).probe()
    guard description.channelCount > 0 else {
      throw Failure(.invalidArgument, "\(name): the file has no audio that can be heard")
    }
    seconds = description.audioDuration
    self.source = source
    self.name = name
    self.options = options
  }

  func exactSampleCount(rate: Int, kernels: Kernels) throws(Failure) -> Int? { nil }

  func samples(
    rate: Int, kernels: Kernels, limit: Int?, _ terms: MediaTerms
  ) throws(Failure) -> AudioSamples {
    // What the file tells may be off by what its coder adds at both ends.
    let told = Int(clamping: Int64(min(seconds + 1, 1e9) * Double(rate)))
    var samples = try AudioSamples(expecting: limit.map { min(told, $0) } ?? told, budget: terms.budget)
    let file = try MediaFile(source, name: name, options: options, terms.interruption)
    try file.samples(rate: UInt32(clamping: rate)) { (piece) throws(Failure) in
      try samples.append(piece)
      return limit.map { samples.values.count <= $0 } ?? true
    }
    return samples
  }

  /// Of the file's bytes.
  func contentHash(_ interruption: Interruption) throws(Failure) -> ContentHash {
    try source.contentHash(name, interruption)
  }

  func limited(by limits: MediaFileOptions, _ interruption: Interruption) throws(Failure) -> any Audio {
    try FileAudio(source, name: name, options: options.tightened(by: limits), interruption)
  }
}

extension MediaItem {
  /// Reads a file: an image is decoded, a video or audio is opened.
  /// - Parameters:
  ///   - name: what sentences call the file.
  ///   - interruption: asked while the file is read and its image decoded.
  /// - Throws: `Failure(.unsupported)` where the media library is missing, what it says of the file, and
  ///   `.invalidArgument` for a file that has nothing of the modality.
  public init(
    _ source: MediaSource, as modality: Modality, name: String, options: MediaFileOptions = MediaFileOptions(),
    framesPerSecond: Double? = nil, _ interruption: Interruption = .never
  ) throws(Failure) {
    switch modality {
    case .image:
      let image = try MediaFile(source, name: name, options: options, interruption).image()
      self = .image(try RGBImage(width: image.width, height: image.height, bytes: image.bytes))
    case .video:
      self = .video(try FileVideo(source, name: name, options: options, interruption), framesPerSecond: framesPerSecond)
    case .audio:
      self = .audio(try FileAudio(source, name: name, options: options, interruption))
    }
  }
}

extension MediaSource {
  fileprivate func contentHash(_ name: String, _ interruption: Interruption) throws(Failure) -> ContentHash {
    var hash = BLAKE2b()
    switch self {
    case .bytes(let buffer): try hash.update(UnsafeRawBufferPointer(buffer.bytes), interruption)
    case .file(let rooted):
      let file = try File(path: rooted.path, name: name)
      for start in stride(from: 0, to: file.size, by: BLAKE2b.pieceByteCount) {
        try interruption.check()
        hash.update(try file.read(at: start, count: min(BLAKE2b.pieceByteCount, file.size - start)))
      }
    }
    return ContentHash(hash.finish())
  }
}
