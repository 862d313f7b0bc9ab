internal import CHost

/// Work that recurses as deep as a file or a caller makes it, on threads of the host, whose stacks may be small.
public enum DeepStack {
  /// Bytes that such work may take: several times what was measured for the deepest, a template of 120 levels or a
  /// pattern of 240 nested groups.
  static let byteCount = 768 << 10

  /// Runs `body` where it has that much stack: on the calling thread, or else on a new one, for which the caller waits.
  /// - Throws: what `body` throws, and `Failure(.outOfMemory)` where the system refuses a thread.
  public static func run<Result>(_ body: () throws(Failure) -> Result) throws(Failure) -> Result {
    guard host_stack_room() < byteCount else { return try body() }
    return try withoutActuallyEscaping(body) { (body) throws(Failure) in
      let work = Work(body)
      let thread = try BackgroundThread(name: "dormouse-stack") { work.run() }
      thread.join()
      return try work.result()
    }
  }

  /// A body and what became of it. The thread that asked for it sleeps while another one uses it.
  private final class Work<Result>: @unchecked Sendable {
    private let body: () throws(Failure) -> Result
    private var outcome: Swift.Result<Result, Failure>?

    init(_ body: @escaping () throws(Failure) -> Result) { self.body = body }

    func run() {
      do throws(Failure) { outcome = .success(try body()) } catch { outcome = .failure(error) }
    }

    func result() throws(Failure) -> Result {
      guard let outcome else { throw Failure(.internalError, "a thread ended before its work") }
      return try outcome.get()
    }
  }
}
