/// How urgent a log line is; the numbers are those of `include/dormouse.h`.
public enum LogLevel: Int32, Sendable, Comparable {
  case error = 1
  case warning = 2
  case information = 3
  case debug = 4

  public static func < (left: LogLevel, right: LogLevel) -> Bool { left.rawValue < right.rawValue }
}

/// Where an engine's log lines go. Silent unless the host gives a sink; the library itself never prints.
public struct Log: Sendable {
  private let sink: (@Sendable (LogLevel, String) -> Void)?

  /// A log that drops every line.
  public static let silent = Log(sink: nil)

  /// - Parameter sink: called on any thread, possibly at the same time from several.
  public init(sink: (@Sendable (LogLevel, String) -> Void)?) { self.sink = sink }

  public func callAsFunction(_ level: LogLevel, _ message: @autoclosure () -> String) {
    if let sink { sink(level, message()) }
  }
}

/// Progress of a long job: units done of a total, reported from the thread that does the job.
///
/// Returning `false` cancels the job, which then throws `Failure(.cancelled, ...)`.
public typealias Progress = @Sendable (_ done: UInt64, _ total: UInt64) -> Bool
