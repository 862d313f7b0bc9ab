import CDormouseMedia
import DormouseSupport

/// Watches over one file's work: its limits, the time of the call under way, and whether the caller wants it stopped.
///
/// Thread: one call at a time per file; FFmpeg asks on the calling thread.
final class MediaWatch {
  /// What sentences call the file.
  let name: String
  let limits: MediaLimits
  private let isCancelled: dormouse_media_cancel_fn?
  private let userData: UnsafeMutableRawPointer?
  private var deadline = Double.infinity
  private var outputByteCount = 0

  init(
    name: String, limits: MediaLimits, isCancelled: dormouse_media_cancel_fn? = nil,
    userData: UnsafeMutableRawPointer? = nil
  ) {
    self.name = name
    self.limits = limits
    self.isCancelled = isCancelled
    self.userData = userData
  }

  /// Begins a call, from which its time counts.
  func begin() { deadline = Clock.now() + limits.timeLimit }

  /// Whether the call is to end.
  var isStopped: Bool { wantsToStop || Clock.now() > deadline }

  /// - Throws: `Failure(.cancelled)` or `.timedOut`.
  func check() throws(Failure) {
    if wantsToStop { throw failure(.cancelled, "the caller cancelled the work") }
    if Clock.now() > deadline {
      throw failure(.timedOut, "the work took longer than time_limit, \(limits.timeLimit) seconds")
    }
  }

  private var wantsToStop: Bool { isCancelled.map { $0(userData) != 0 } ?? false }

  /// The size of an image or frame as the file tells it, before anything is allocated for it.
  func checkSize(width: Int, height: Int) throws(Failure) {
    guard width > 0, height > 0, width <= Int(Int32.max), height <= Int(Int32.max) else {
      throw failure(.malformed, "the image's size is \(width) x \(height)")
    }
    guard width <= limits.pixelLimit / height else {
      throw failure(
        .unsupported, "the image has \(width) x \(height) pixels, more than max_pixels, \(limits.pixelLimit)")
    }
  }

  func checkFrameCount(_ count: Int) throws(Failure) {
    guard count <= limits.frameLimit else {
      throw failure(.unsupported, "the video has more frames than max_frames, \(limits.frameLimit)")
    }
  }

  func checkDuration(_ seconds: Double) throws(Failure) {
    guard seconds <= limits.secondLimit else {
      throw failure(.unsupported, "the file lasts longer than max_seconds, \(limits.secondLimit) seconds")
    }
  }

  /// Counts bytes that are about to be given out.
  func countOutput(_ byteCount: Int) throws(Failure) {
    guard byteCount <= limits.outputLimit - outputByteCount else {
      throw failure(.unsupported, "the pixels or samples take more bytes than max_output_bytes, \(limits.outputLimit)")
    }
    outputByteCount += byteCount
  }

  func failure(_ status: Status, _ sentence: String) -> Failure { Failure(status, "\(name): \(sentence)") }
}
