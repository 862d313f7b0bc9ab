import CDormouseMedia
public import DormouseSupport

/// An image, video or audio that the media library has opened.
///
/// Thread: one call at a time.
public final class MediaFile {
  private let library: MediaLibrary
  private let source: MediaSource
  private let stop: Stop
  private var handle: OpaquePointer?

  /// - Parameters:
  ///   - name: what sentences call the file.
  ///   - interruption: asked between packets and while bytes are read, on the calling thread, as long as no call has one
  ///     of its own.
  /// - Throws: `Failure(.unsupported)` where the media library is missing, and beyond a limit.
  public init(
    _ source: MediaSource, name: String, options: MediaFileOptions = MediaFileOptions(),
    _ interruption: Interruption = .never
  ) throws(Failure) {
    library = try MediaLibrary.loaded()
    self.source = source
    stop = Stop(interruption)
    try open(name, options.inC)
  }

  deinit { library.free(handle) }

  private func open(_ name: String, _ options: dormouse_media_options) throws(Failure) {
    var options = options
    options.is_cancelled = { $0.map { Unmanaged<Stop>.fromOpaque($0).takeUnretainedValue().isWanted ? 1 : 0 } ?? 0 }
    options.cancel_user_data = Unmanaged.passUnretained(stop).toOpaque()
    try checked { error in
      name.withCString { name in
        options.name = name
        switch source {
        case .file(let file): return library.openPath(&handle, file.path, &options, error)
        case .bytes(let buffer):
          let bytes = buffer.bound(to: UInt8.self)
          return library.openBytes(&handle, bytes.baseAddress, bytes.count, &options, error)
        }
      }
    }
  }

  /// Asks for another caller from here on.
  public func watch(_ interruption: Interruption) { stop.interruption = interruption }

  /// What the file is; reads the packets of a video, and decodes an image.
  public func probe() throws(Failure) -> MediaDescription {
    var info = dormouse_media_info()
    info.struct_size = UInt32(MemoryLayout<dormouse_media_info>.size)
    try checked { library.describe(&info, handle, $0) }
    return MediaDescription(info)
  }

  /// When each frame is shown, in seconds after the first, ascending.
  public func timestamps() throws(Failure) -> [Double] {
    let count = Int(clamping: try probe().frameCount)
    guard count > 0 else { return [] }
    var timestamps = [Double](repeating: 0, count: count)
    try checked { error in
      var written = 0
      return timestamps.withUnsafeMutableBufferPointer {
        library.timestamps($0.baseAddress, $0.count, &written, handle, error)
      }
    }
    return timestamps
  }

  /// The image, or the first frame of a video.
  public func image() throws(Failure) -> MediaImage {
    var image: MediaImage?
    try frames([0]) { (frame) throws(Failure) in
      image = MediaImage(width: frame.width, height: frame.height, bytes: Array(frame.bytes))
      return true
    }
    guard let image else { throw Failure(.internalError, "the media library gave no image") }
    return image
  }

  /// Decodes the frames of these indices, which must not descend; one that is there twice comes twice.
  /// - Parameter receive: takes a frame, whose bytes are valid until it returns; false ends the work.
  public func frames(_ indices: [Int], _ receive: (MediaFrame) throws(Failure) -> Bool) throws(Failure) {
    var numbers: [UInt64] = []
    var times: [UInt64: Int] = [:]
    for index in indices {
      guard let number = UInt64(exactly: index) else {
        throw Failure(.invalidArgument, "frame \(index) is asked for; frames are numbered from 0")
      }
      if numbers.last != number { numbers.append(number) }
      times[number, default: 0] += 1
    }
    try receiving(MediaFrame.self) { (frame) throws(Failure) in
      for _ in 0..<times[UInt64(clamping: frame.index), default: 1] where try !receive(frame) { return false }
      return true
    } from: { context, error in
      library.frames(handle, numbers, numbers.count, passFrame, context, error)
    }
  }

  /// Decodes the audio from its beginning to one channel at `rate`, piece after piece.
  /// - Parameter receive: takes samples, which are valid until it returns; false ends the work.
  public func samples(rate: UInt32, _ receive: (UnsafeBufferPointer<Float>) throws(Failure) -> Bool) throws(Failure) {
    try receiving(UnsafeBufferPointer<Float>.self) { (samples) throws(Failure) in
      try receive(samples)
    } from: { context, error in
      library.samples(handle, rate, passSamples, context, error)
    }
  }

  /// Runs a call that hands out pieces, and throws what their receiver throws.
  private func receiving<Piece>(
    _ type: Piece.Type, _ receive: (Piece) throws(Failure) -> Bool,
    from call: (UnsafeMutableRawPointer, UnsafeMutablePointer<dormouse_error>) -> dormouse_status
  ) throws(Failure) {
    let outcome: Result<Void, Failure> = withoutActuallyEscaping(receive) { receive in
      let receiver = Receiver(receive)
      return Result { () throws(Failure) in
        try checked { call(Unmanaged.passUnretained(receiver).toOpaque(), $0) }
        if let failure = receiver.failure { throw failure }
      }
    }
    try outcome.get()
  }

  /// Throws what a call of the library answers.
  private func checked(_ call: (UnsafeMutablePointer<dormouse_error>) -> dormouse_status) throws(Failure) {
    var error = dormouse_error()
    error.struct_size = UInt32(MemoryLayout<dormouse_error>.size)
    let status = call(&error)
    guard status < 0 else { return }
    if status == Status.cancelled.rawValue, let failure = stop.interruption.failure { throw failure }
    let message = withUnsafeBytes(of: &error.message) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    throw Failure(Status(rawValue: status) ?? .internalError, message)
  }
}

/// Whether somebody wants the work to stop, for a function of C to ask.
private final class Stop {
  var interruption: Interruption
  var isWanted: Bool { interruption.failure != nil }

  init(_ interruption: Interruption) { self.interruption = interruption }
}

/// A closure that takes pieces, for functions of C to call, and what it has thrown.
private final class Receiver<Piece> {
  private let receive: (Piece) throws(Failure) -> Bool
  private(set) var failure: Failure?

  init(_ receive: @escaping (Piece) throws(Failure) -> Bool) { self.receive = receive }

  /// 0 to go on, as the library's callbacks answer.
  func take(_ piece: Piece) -> Int32 {
    do throws(Failure) { return try receive(piece) ? 0 : 1 } catch {
      failure = error
      return 1
    }
  }
}

private func passFrame(
  _ context: UnsafeMutableRawPointer?, _ index: UInt64, _ seconds: Double, _ pixels: UnsafePointer<UInt8>?,
  _ width: UInt32, _ height: UInt32
) -> Int32 {
  guard let context else { return 1 }
  let bytes = UnsafeRawBufferPointer(start: pixels, count: Int(width) * Int(height) * 3)
  return Unmanaged<Receiver<MediaFrame>>.fromOpaque(context).takeUnretainedValue().take(
    MediaFrame(index: Int(clamping: index), seconds: seconds, width: Int(width), height: Int(height), bytes: bytes))
}

private func passSamples(_ context: UnsafeMutableRawPointer?, _ samples: UnsafePointer<Float>?, _ count: Int) -> Int32 {
  guard let context else { return 1 }
  return Unmanaged<Receiver<UnsafeBufferPointer<Float>>>.fromOpaque(context).takeUnretainedValue().take(
    UnsafeBufferPointer(start: samples, count: count))
}
