import CFFmpeg
import DormouseSupport

extension MediaWatch {
  /// The failure for a negative code of FFmpeg's, in words of our own; one that the watch itself has caused comes as what
  /// it was.
  /// - Parameter action: what could not be done, such as "cannot decode the audio".
  func failure(_ code: Int32, _ action: String) -> Failure {
    do throws(Failure) { try check() } catch { return error }
    switch code {
    case ffmpeg_error_memory: return failure(.outOfMemory, "\(action): no memory")
    case ffmpeg_error_permission: return failure(.unsupported, "\(action): the file refers to other files")
    case ffmpeg_error_end: return failure(.malformed, "\(action): the file ends too early")
    case ffmpeg_error_unsupported, ffmpeg_error_not_implemented, ffmpeg_error_no_decoder:
      return failure(.unsupported, "\(action): it uses a feature of its format that is not supported")
    case ffmpeg_error_argument: return failure(.malformed, "\(action): what its header says makes no sense")
    default: return failure(.malformed, "\(action): its data are damaged")
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
}
