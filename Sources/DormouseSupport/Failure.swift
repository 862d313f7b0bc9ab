/// The status numbers of `include/dormouse.h`; `DormouseABITests` holds the two lists equal.
///
/// A number is never reused and never changes its meaning.
public enum Status: Int32, Sendable, CaseIterable {
  case ok = 0
  case invalidArgument = -1
  case notFound = -2
  case inputOutput = -3
  case malformed = -4
  case unsupported = -5
  case bufferTooSmall = -6
  case cancelled = -7
  case outOfMemory = -8
  case contextFull = -9
  case numerical = -10
  case busy = -11
  case internalError = -12
  case overloaded = -13
  case timedOut = -14
}

/// The one error type of the library: a status for programs and a sentence for people.
///
/// The sentence names the file, the field or tensor, and the offending value.
public struct Failure: Error, Sendable, Equatable, CustomStringConvertible {
  public var status: Status
  public var message: String

  public init(_ status: Status, _ message: String) {
    self.status = status
    self.message = message
  }

  public var description: String { message }

  /// The same failure with `context` (a file, a layer, a message number) in front of its sentence.
  public func prefixed(_ context: String) -> Failure { Failure(status, "\(context): \(message)") }
}

/// Runs `body` and puts `context` in front of the sentence of whatever `Failure` it throws.
public func withContext<Result>(
  _ context: @autoclosure () -> String, _ body: () throws(Failure) -> Result
) throws(Failure) -> Result {
  do { return try body() } catch { throw error.prefixed(context()) }
}
