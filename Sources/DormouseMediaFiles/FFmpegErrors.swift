import CFFmpeg
import DormouseSupport

extension MediaWatch {
  /// The failure for a negative code of FFmpeg's; one that the watch itself has caused comes as what it was.
  /// - Parameter action: what could not be done, such as "cannot decode the sound".
  func failure(_ code: Int32, _ action: String) -> Failure {
    do throws(Failure) { try check() } catch { return error }
    switch code {
    case ffmpeg_error_memory: return failure(.outOfMemory, "\(action): no memory")
    case ffmpeg_error_permission: return failure(.unsupported, "\(action): the file refers to other files")
    case ffmpeg_error_end: return failure(.malformed, "\(action): the file ends too early")
    default: return failure(.malformed, "\(action): \(Self.message(code))")
    }
  }

  /// Throws for a negative code.
  @discardableResult
  func checked(_ code: Int32, _ action: @autoclosure () -> String) throws(Failure) -> Int32 {
    guard code >= 0 else { throw failure(code, action()) }
    return code
  }

  /// The object that FFmpeg has allocated, where it could.
  func allocated<Pointer>(_ pointer: Pointer?) throws(Failure) -> Pointer {
    guard let pointer else { throw failure(.outOfMemory, "no memory for a decoder") }
    return pointer
  }

  private static func message(_ code: Int32) -> String {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(AV_ERROR_MAX_STRING_SIZE)) { buffer in
      guard let base = buffer.baseAddress, av_strerror(code, base, buffer.count) == 0 else { return "error \(code)" }
      return String(cString: base)
    }
  }
}
