internal import DormouseSupport
import Glibc

/// The host's clock, for `strftime_now`.
enum TemplateClock {
  /// Of a look, in the budget's units.
  static let cost = 1024

  /// The local time now in the format of `strftime`.
  static func now(_ format: String) throws(Failure) -> String {
    guard format.utf8.count <= 256, !format.utf8.contains(0) else {
      throw Failure(.malformed, "a time format of more than 256 bytes, or with a zero byte")
    }
    var seconds = time(nil)
    var parts = tm()
    guard localtime_r(&seconds, &parts) != nil else { throw Failure(.internalError, "the local time is not known") }
    // A trailing character tells an empty result from one that did not fit.
    var buffer = [CChar](repeating: 0, count: 8192)
    let count = strftime(&buffer, buffer.count, format + ".", &parts)
    guard count > 0 else { throw Failure(.malformed, "the time format '\(format)' makes too long a text") }
    return String(decoding: buffer[..<(count - 1)].map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
