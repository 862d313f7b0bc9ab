import CDormouse
import DormouseBoundary
import DormouseMedia
import DormouseSupport

/// What a handle stands for: an image or a video, or audio that may still grow.
private final class Attachment: Sendable {
  enum Content: Sendable {
    case fixed(MediaItem)
    case audio(HeldAudio)
  }

  private let content: Locked<Content>

  init(_ content: Content) { self.content = Locked(content) }

  /// As it is now.
  func item() throws(Failure) -> MediaItem {
    switch content.withLock({ $0 }) {
    case .fixed(let item): return item
    case .audio(let audio):
      guard audio.frameCount > 0 else { throw Failure(.invalidArgument, "audio has 0 samples; expected at least 1") }
      return .audio(audio)
    }
  }

  func append(_ samples: UnsafePointer<Float>?, frameCount: Int) throws(Failure) {
    let outcome: Result<Void, Failure> = content.withLock { content in
      Result { () throws(Failure) in
        guard case .audio(var audio) = content else {
          throw Failure(.invalidArgument, "attachment is not audio that samples were given for")
        }
        // `audio` is the samples' one holder, so that they are not copied.
        content = .audio(try HeldAudio(channelCount: audio.channelCount, rate: audio.rate))
        defer { content = .audio(audio) }
        let count = try readCount(frameCount, audio.channelCount, "samples")
        try audio.append(try readArray(samples, count, "samples"))
      }
    }
    try outcome.get()
  }
}

@_cdecl("dormouse_attachment_create_image") @implementation
public func dormouse_attachment_create_image(
  _ out: UnsafeMutablePointer<OpaquePointer?>!, _ pixels: UnsafePointer<UInt8>!, _ width: UInt32, _ height: UInt32,
  _ error: UnsafeMutablePointer<dormouse_error>!
) -> dormouse_status {
  boundary(error) { () throws(Failure) in
    let out = try require(out, "out")
    out.pointee = nil
    let image = try readImages(pixels, count: 1, width: Int(width), height: Int(height))[0]
    out.pointee = Handle.make(Attachment(.fixed(.image(image))))
  }
}

@_cdecl("dormouse_attachment_create_video") @implementation
public func dormouse_attachment_create_video(
  _ out: UnsafeMutablePointer<OpaquePointer?>!, _ pixels: UnsafePointer<UInt8>!, _ frame_count: Int, _ width: UInt32,
  _ height: UInt32, _ timestamps: UnsafePointer<Double>!, _ frames_per_second: Double,
  _ error: UnsafeMutablePointer<dormouse_error>!
) -> dormouse_status {
  boundary(error) { () throws(Failure) in
    let out = try require(out, "out")
    out.pointee = nil
    let images = try readImages(pixels, count: frame_count, width: Int(width), height: Int(height))
    let video =
      timestamps == nil
      ? try HeldVideo(images, framesPerSecond: frames_per_second)
      : try HeldVideo(images, timestamps: Array(try readArray(timestamps, frame_count, "timestamps")))
    out.pointee = Handle.make(Attachment(.fixed(.video(video, framesPerSecond: nil))))
  }
}

@_cdecl("dormouse_attachment_create_audio") @implementation
public func dormouse_attachment_create_audio(
  _ out: UnsafeMutablePointer<OpaquePointer?>!, _ samples: UnsafePointer<Float>!, _ frame_count: Int,
  _ channel_count: UInt32, _ sample_rate: UInt32, _ error: UnsafeMutablePointer<dormouse_error>!
) -> dormouse_status {
  boundary(error) { () throws(Failure) in
    let out = try require(out, "out")
    out.pointee = nil
    var audio = try HeldAudio(channelCount: Int(channel_count), rate: Int(sample_rate))
    try audio.append(try readArray(samples, try readCount(frame_count, audio.channelCount, "samples"), "samples"))
    out.pointee = Handle.make(Attachment(.audio(audio)))
  }
}

@_cdecl("dormouse_attachment_create_from_file") @implementation
public func dormouse_attachment_create_from_file(
  _ out: UnsafeMutablePointer<OpaquePointer?>!, _ kind: Int32, _ path: UnsafePointer<CChar>!,
  _ error: UnsafeMutablePointer<dormouse_error>!
) -> dormouse_status {
  boundary(error) { () throws(Failure) in
    let out = try require(out, "out")
    out.pointee = nil
    let path = try readString(path, "path")
    guard File.exists(path) else { throw Failure(.notFound, "\(path): no such file") }
    // The host may read what it likes.
    let file = try MediaRoots(["/"]).open(path)
    out.pointee = Handle.make(Attachment(.fixed(try MediaItem(.file(file), as: try modality(kind), name: path))))
  }
}

@_cdecl("dormouse_attachment_create_from_bytes") @implementation
public func dormouse_attachment_create_from_bytes(
  _ out: UnsafeMutablePointer<OpaquePointer?>!, _ kind: Int32, _ bytes: UnsafePointer<UInt8>!, _ byte_count: Int,
  _ error: UnsafeMutablePointer<dormouse_error>!
) -> dormouse_status {
  boundary(error) { () throws(Failure) in
    let out = try require(out, "out")
    out.pointee = nil
    let given = UnsafeRawBufferPointer(try readArray(bytes, byte_count, "bytes"))
    guard !given.isEmpty else { throw Failure(.invalidArgument, "bytes has 0 bytes; expected those of a file") }
    let copy = try AlignedBuffer(byteCount: given.count, isZeroed: false, for: "a file's bytes")
    copy.bytes.copyMemory(from: given)
    out.pointee = Handle.make(Attachment(.fixed(try MediaItem(.bytes(copy), as: try modality(kind), name: "bytes"))))
  }
}

private func modality(_ kind: Int32) throws(Failure) -> Modality {
  switch kind {
  case Int32(DORMOUSE_ATTACHMENT_IMAGE): return .image
  case Int32(DORMOUSE_ATTACHMENT_VIDEO): return .video
  case Int32(DORMOUSE_ATTACHMENT_AUDIO): return .audio
  default: throw Failure(.invalidArgument, "kind is \(kind), which means nothing")
  }
}

@_cdecl("dormouse_attachment_append_audio") @implementation
public func dormouse_attachment_append_audio(
  _ attachment: OpaquePointer!, _ samples: UnsafePointer<Float>!, _ frame_count: Int,
  _ error: UnsafeMutablePointer<dormouse_error>!
) -> dormouse_status {
  boundary(error) { () throws(Failure) in
    try Handle.object(attachment, Attachment.self, "attachment").append(samples, frameCount: frame_count)
  }
}

@_cdecl("dormouse_attachment_free") @implementation
public func dormouse_attachment_free(_ attachment: OpaquePointer!) { Handle.free(attachment) }

/// What a caller gave beside messages.
func readAttachments(_ handles: UnsafePointer<OpaquePointer?>?, _ count: Int) throws(Failure) -> [MediaItem] {
  var items: [MediaItem] = []
  for (index, handle) in try readArray(handles, count, "attachments").enumerated() {
    items.append(try readAttachment(handle, "attachments[\(index)]"))
  }
  return items
}

/// One of them, as it is now.
func readAttachment(_ handle: OpaquePointer?, _ name: String) throws(Failure) -> MediaItem {
  try withContext(name) { () throws(Failure) in try Handle.object(handle, Attachment.self, name).item() }
}

/// Copies images of one size: [count, height, width, 3].
private func readImages(
  _ pixels: UnsafePointer<UInt8>?, count: Int, width: Int, height: Int
) throws(Failure) -> [RGBImage] {
  try RGBImage.checkSize(width: width, height: height)
  guard count > 0 else { throw Failure(.invalidArgument, "a video has \(count) frames; expected at least 1") }
  let size = width * height * 3
  let bytes = try readArray(pixels, try readCount(count, size, "pixels"), "pixels")
  var images: [RGBImage] = []
  for index in 0..<count {
    images.append(
      try RGBImage(width: width, height: height, bytes: Array(bytes[index * size..<(index + 1) * size])))
  }
  return images
}

/// The number of elements of a caller's array of `count` groups.
private func readCount(_ count: Int, _ groupSize: Int, _ name: String) throws(Failure) -> Int {
  let (product, isBeyond) = count.multipliedReportingOverflow(by: groupSize)
  guard !isBeyond else { throw Failure(.invalidArgument, "\(name): the count is out of range") }
  return product
}
