internal import CPCRE2
internal import DormouseSupport
import Glibc

/// One text's way through a tokenizer: what patterns need while they are matched, whether the caller still wants the
/// ids, and how long the text may take.
///
/// A tokenizer comes with a downloaded model, and its patterns are not trusted. How long a match takes can't be read off
/// a pattern, and PCRE2 counts only some of its steps; so what is bounded is the processor time of the whole text, looked
/// at between short pieces of work. Honest tokenizers take some 0.1 microseconds a byte. Thread: one.
final class TextWork {
  /// Seconds of processor time that a text may take: these, and more for each byte.
  private static let seconds = 1.0
  private static let secondsPerByte = 5e-6
  /// Units of work, about a nanosecond each at worst, between two looks.
  private static let slice = 1 << 26

  let matching: MatchingMemory
  private let interruption: Interruption
  private let byteCount: Int
  private let allowance: Double
  private let start = TextWork.processorTime()
  private var pending = 0

  /// - Parameters:
  ///   - byteCount: the size of the text.
  ///   - interruption: asked between the pieces of work.
  init(byteCount: Int, interruption: Interruption = .never) throws(Failure) {
    matching = try MatchingMemory()
    self.interruption = interruption
    self.byteCount = byteCount
    allowance = TextWork.seconds + TextWork.secondsPerByte * Double(byteCount)
    try interruption.check()
  }

  /// Counts `units` of work that was done, and looks now and then whether there may be more.
  /// - Parameter worker: what did it, for the sentence.
  /// - Throws: what the interruption says; `Failure(.malformed)` when the text has taken longer than it may.
  func spend(_ units: Int, by worker: @autoclosure () -> String = "the tokenizer") throws(Failure) {
    pending += units
    guard pending >= TextWork.slice else { return }
    pending = 0
    try interruption.check()
    guard TextWork.processorTime() - start <= allowance else {
      throw Failure(
        .malformed,
        "\(worker()) takes too long: more than the \(TextWork.rounded(allowance)) s of processor time that a text of"
          + " \(byteCount) bytes may take")
    }
  }

  private static func rounded(_ seconds: Double) -> Double { (seconds * 100).rounded() / 100 }

  /// Seconds that this thread has computed.
  private static func processorTime() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
  }
}

/// What PCRE2 needs while one thread matches patterns.
final class MatchingMemory {
  let data: OpaquePointer
  let context: OpaquePointer
  private let stack: OpaquePointer?

  /// KiB that interpreted matching may take.
  private static let heapLimit: UInt32 = 256 << 10
  /// Bytes of stack for compiled matching, taken only as far as they are needed.
  private static let stackLimit = 16 << 20

  init() throws(Failure) {
    guard let data = pcre2_match_data_create_8(1, nil) else { throw Failure(.outOfMemory, "no memory for matching") }
    guard let context = pcre2_match_context_create_8(nil) else {
      pcre2_match_data_free_8(data)
      throw Failure(.outOfMemory, "no memory for matching")
    }
    pcre2_set_heap_limit_8(context, MatchingMemory.heapLimit)
    self.data = data
    self.context = context
    stack = pcre2_jit_stack_create_8(32 << 10, MatchingMemory.stackLimit, nil)
    pcre2_jit_stack_assign_8(context, nil, stack.map { UnsafeMutableRawPointer($0) })
  }

  deinit {
    pcre2_match_data_free_8(data)
    pcre2_match_context_free_8(context)
    if let stack { pcre2_jit_stack_free_8(stack) }
  }
}
