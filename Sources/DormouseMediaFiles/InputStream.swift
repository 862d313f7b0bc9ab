import CFFmpeg
import DormouseSupport

/// Lends a `ByteSource` to FFmpeg's demuxers: reads are cut at its end, and seeks outside of it refused.
final class InputStream {
  private let source: ByteSource
  private let watch: MediaWatch
  private var position = 0
  /// Why bytes could not be read, where that is what stopped FFmpeg.
  private(set) var problem: Failure?
  /// Whether FFmpeg has asked for bytes behind the file's end since the last `continueReading`.
  private var wasExceeded = false
  private(set) var context: UnsafeMutablePointer<AVIOContext>?

  private static let bufferByteCount = 32 << 10

  init(_ source: ByteSource, watch: MediaWatch) throws(Failure) {
    self.source = source
    self.watch = watch
    let buffer = try watch.allocated(av_malloc(InputStream.bufferByteCount))
    context = avio_alloc_context(
      buffer.assumingMemoryBound(to: UInt8.self), Int32(InputStream.bufferByteCount), 0,
      Unmanaged.passUnretained(self).toOpaque(), readCallback, nil, seekCallback)
    if context == nil {
      av_free(buffer)
      throw watch.failure(ffmpeg_error_memory, "cannot open the file")
    }
  }

  deinit {
    if let context { av_freep(&context.pointee.buffer) }
    avio_context_free(&context)
  }

  /// Begins anew to look whether more is asked for than the file has.
  func continueReading() { wasExceeded = false }

  /// Whether the file ends before something that it was to have.
  var isCutOff: Bool { wasExceeded || context?.pointee.eof_reached ?? 0 != 0 }

  /// Reads what fits from where the stream is. Returns the bytes read, or one of FFmpeg's errors.
  fileprivate func read(_ buffer: UnsafeMutablePointer<UInt8>?, _ capacity: Int32) -> Int32 {
    guard !watch.isStopped else { return ffmpeg_error_exit }
    guard let buffer, capacity > 0, position < source.count else {
      wasExceeded = true
      return ffmpeg_error_end
    }
    let count = min(Int(capacity), source.count - position)
    do throws(Failure) {
      try source.read(into: UnsafeMutableRawBufferPointer(start: buffer, count: count), at: position)
    } catch {
      problem = error
      return ffmpeg_error_input_output
    }
    position += count
    return Int32(count)
  }

  /// As lseek(2), and AVSEEK_SIZE for the size.
  fileprivate func seek(_ offset: Int64, _ whence: Int32) -> Int64 {
    let base: Int
    switch whence & ~AVSEEK_FORCE {
    case AVSEEK_SIZE: return Int64(source.count)
    case SEEK_SET: base = 0
    case SEEK_CUR: base = position
    case SEEK_END: base = source.count
    default: return Int64(ffmpeg_error_argument)
    }
    let (target, overflow) = base.addingReportingOverflow(Int(offset))
    guard !overflow, target >= 0, target <= source.count else {
      wasExceeded = true
      return Int64(ffmpeg_error_argument)
    }
    position = target
    return Int64(target)
  }
}

private func stream(_ opaque: UnsafeMutableRawPointer?) -> InputStream? {
  opaque.map { Unmanaged<InputStream>.fromOpaque($0).takeUnretainedValue() }
}

private func readCallback(_ opaque: UnsafeMutableRawPointer?, _ buffer: UnsafeMutablePointer<UInt8>?, _ capacity: Int32)
  -> Int32
{
  stream(opaque)?.read(buffer, capacity) ?? ffmpeg_error_end
}

private func seekCallback(_ opaque: UnsafeMutableRawPointer?, _ offset: Int64, _ whence: Int32) -> Int64 {
  stream(opaque)?.seek(offset, whence) ?? Int64(ffmpeg_error_argument)
}
