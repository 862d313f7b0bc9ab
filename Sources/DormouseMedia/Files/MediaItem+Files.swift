import DormouseKernels
public import DormouseSupport

/// A film in a file, whose frames are decoded when they are asked for.
final class FileFilm: Film {
  let frameCount: Int
  let framesPerSecond: Double
  let timestamps: [Double]?
  let width: Int
  let height: Int
  private let source: MediaSource
  private let file: Locked<Opened>

  /// A decoder has one caller at a time.
  private struct Opened: @unchecked Sendable {
    let file: MediaFile
  }

  init(_ source: MediaSource, name: String, options: MediaFileOptions) throws(Failure) {
    let file = try MediaFile(source, name: name, options: options)
    let description = try file.probe()
    guard description.width > 0, description.frameCount > 0 else {
      throw Failure(.invalidArgument, "\(name): a file of format \(description.format) has no frames")
    }
    let times = try file.timestamps()
    frameCount = times.count
    timestamps = times
    // A picture is a film of one frame.
    framesPerSecond = description.frameRate > 0 ? description.frameRate : 1
    width = description.width
    height = description.height
    self.source = source
    self.file = Locked(Opened(file: file))
  }

  func frames(_ numbers: [Int]) throws(Failure) -> [RGBImage] {
    let outcome: Result<[RGBImage], Failure> = file.withLock { opened in
      Result { () throws(Failure) in
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
  func contentHash() throws(Failure) -> ContentHash { try source.contentHash() }
}

/// A sound in a file, decoded when it is asked for.
final class FileSound: Sound {
  private let source: MediaSource
  private let name: String
  private let options: MediaFileOptions

  init(_ source: MediaSource, name: String, options: MediaFileOptions) throws(Failure) {
    let description = try MediaFile(source, name: name, options: options).probe()
    guard description.channelCount > 0 else {
      throw Failure(.invalidArgument, "\(name): a file of format \(description.format) has no sound")
    }
    self.source = source
    self.name = name
    self.options = options
  }

  func samples(rate: Int, kernels: Kernels) throws(Failure) -> [Float] {
    var samples: [Float] = []
    try MediaFile(source, name: name, options: options).samples(rate: UInt32(clamping: rate)) { piece in
      samples.append(contentsOf: piece)
      return true
    }
    return samples
  }

  /// Of the file's bytes.
  func contentHash() throws(Failure) -> ContentHash { try source.contentHash() }
}

extension MediaItem {
  /// Reads a file: a picture is decoded, a film or a sound is opened.
  /// - Parameter name: what sentences call the file.
  /// - Throws: `Failure(.unsupported)` where the media library is missing, what it says of the file, and
  ///   `.invalidArgument` for a file that has nothing of the modality.
  public init(
    _ source: MediaSource, as modality: Modality, name: String, options: MediaFileOptions = MediaFileOptions(),
    framesPerSecond: Double? = nil
  ) throws(Failure) {
    switch modality {
    case .image:
      let picture = try MediaFile(source, name: name, options: options).picture()
      self = .image(try RGBImage(width: picture.width, height: picture.height, bytes: picture.bytes))
    case .video:
      self = .video(try FileFilm(source, name: name, options: options), framesPerSecond: framesPerSecond)
    case .audio:
      self = .audio(try FileSound(source, name: name, options: options))
    }
  }
}

extension MediaSource {
  private static let pieceByteCount = 1 << 20

  fileprivate func contentHash() throws(Failure) -> ContentHash {
    var hash = BLAKE2b()
    switch self {
    case .bytes(let buffer): hash.update(UnsafeRawBufferPointer(buffer.bytes))
    case .file(let rooted):
      let file = try File(path: rooted.path)
      for start in stride(from: 0, to: file.size, by: Self.pieceByteCount) {
        hash.update(try file.read(at: start, count: min(Self.pieceByteCount, file.size - start)))
      }
    }
    return ContentHash(hash.finish())
  }
}
