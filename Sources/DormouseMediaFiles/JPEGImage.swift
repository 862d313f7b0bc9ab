import CJPEG
import DormouseSupport

/// A JPEG as libjpeg reads it, which is what PIL does: every way of sampling and coding that it knows, of 8 bits.
final class JPEGImage {
  private let stream: ImageStream
  private let watch: MediaWatch
  private var frame: RGBFrame?
  private var componentCount = 0
  private var rowCount = 0
  private var problem: Failure?

  private init(_ source: ByteSource, watch: MediaWatch) {
    stream = ImageStream(source, watch: watch)
    self.watch = watch
  }

  /// The pixels as they are stored.
  static func read(_ source: ByteSource, watch: MediaWatch) throws(Failure) -> RGBFrame {
    try JPEGImage(source, watch: watch).read()
  }

  private func read() throws(Failure) -> RGBFrame {
    var calls = jpeg_image_calls(
      context: Unmanaged.passUnretained(self).toOpaque(),
      read: { context, buffer, capacity in image(context)?.stream.read(buffer, capacity) ?? 0 },
      begin: { context, width, height, count in
        image(context)?.begin(Int(width), Int(height), Int(count)) == true ? 0 : 1
      },
      row: { context, values in
        guard let values else { return 1 }
        image(context)?.add(values)
        return 0
      },
      is_stopped: { context in image(context)?.watch.isStopped == false ? 0 : 1 })
    let (result, message) = withUnsafeTemporaryAllocation(of: CChar.self, capacity: jpeg_image_message_size) { text in
      let result = jpeg_image_read(&calls, text.baseAddress)
      return (result, text.baseAddress.map { String(cString: $0) } ?? "")
    }
    if let problem { throw problem }
    try stream.check()
    switch result {
    case JPEG_IMAGE_DONE: break
    case JPEG_IMAGE_NO_MEMORY: throw watch.failure(.outOfMemory, "no memory for the JPEG image")
    case JPEG_IMAGE_CUT: throw watch.failure(.malformed, "the JPEG image ends too early")
    case JPEG_IMAGE_UNSUPPORTED:
      throw watch.failure(.unsupported, "JPEG images of this kind are not supported: \(message)")
    default: throw watch.failure(.malformed, "the JPEG image is damaged: \(message)")
    }
    guard let frame else { throw watch.failure(.malformed, "the JPEG image has no pixels") }
    return frame
  }

  private func begin(_ width: Int, _ height: Int, _ componentCount: Int) -> Bool {
    do throws(Failure) {
      frame = try RGBFrame(width: width, height: height, watch: watch)
    } catch {
      problem = error
      return false
    }
    self.componentCount = componentCount
    return true
  }

  private func add(_ values: UnsafePointer<UInt8>) {
    guard let frame, rowCount < frame.height else { return }
    let row = frame.row(rowCount)
    rowCount += 1
    func component(_ index: Int) -> ComponentRow { ComponentRow(values + index, step: componentCount) }
    switch componentCount {
    case 1: row.setGrey(component(0))
    case 3: row.setRGB(component(0), component(1), component(2))
    // As Adobe's programs store it, whoever has written the file: PIL takes it so, too.
    default: row.setCMYK(component(0), component(1), component(2), component(3), isComplement: true)
    }
  }
}

private func image(_ context: UnsafeMutableRawPointer?) -> JPEGImage? {
  context.map { Unmanaged<JPEGImage>.fromOpaque($0).takeUnretainedValue() }
}
