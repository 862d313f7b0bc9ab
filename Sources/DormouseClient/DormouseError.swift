internal import CDormouse

/// What a call of the library answered when it failed: a status for programs and a sentence for people.
public struct DormouseError: Error, Sendable, Equatable, CustomStringConvertible {
  /// One of the header's numbers. A library newer than this client may have others.
  public struct Status: RawRepresentable, Sendable, Hashable {
    public let rawValue: Int32

    public init(rawValue: Int32) { self.rawValue = rawValue }

    /// A value out of range, or JSON that is not what it should be.
    public static let invalidArgument = Status(rawValue: Int32(DORMOUSE_ERROR_INVALID_ARGUMENT))
    /// A file, a folder or a part of the model is missing.
    public static let notFound = Status(rawValue: Int32(DORMOUSE_ERROR_NOT_FOUND))
    /// The system refused to open, read or map a file.
    public static let inputOutput = Status(rawValue: Int32(DORMOUSE_ERROR_INPUT_OUTPUT))
    /// A file's contents contradict its format or one another.
    public static let malformed = Status(rawValue: Int32(DORMOUSE_ERROR_MALFORMED))
    /// Well-formed, but the library has no such architecture, type or feature.
    public static let unsupported = Status(rawValue: Int32(DORMOUSE_ERROR_UNSUPPORTED))
    /// Something stopped the work from outside.
    public static let cancelled = Status(rawValue: Int32(DORMOUSE_ERROR_CANCELLED))
    /// An allocation failed, or a limit of memory would be passed.
    public static let outOfMemory = Status(rawValue: Int32(DORMOUSE_ERROR_OUT_OF_MEMORY))
    /// More tokens than the session's context takes.
    public static let contextFull = Status(rawValue: Int32(DORMOUSE_ERROR_CONTEXT_FULL))
    /// The model produced a value that is not finite.
    public static let numerical = Status(rawValue: Int32(DORMOUSE_ERROR_NUMERICAL))
    /// The session or transcriber is at work on another thread.
    public static let busy = Status(rawValue: Int32(DORMOUSE_ERROR_BUSY))
    /// A fault of the library.
    public static let internalError = Status(rawValue: Int32(DORMOUSE_ERROR_INTERNAL))
    /// As many sessions wait as may.
    public static let overloaded = Status(rawValue: Int32(DORMOUSE_ERROR_OVERLOADED))
    /// The time limit passed before the first token.
    public static let timedOut = Status(rawValue: Int32(DORMOUSE_ERROR_TIMED_OUT))

    /// The header's name, such as "MALFORMED".
    public var name: String { dormouse_status_name(rawValue).map { String(cString: $0) } ?? "UNKNOWN" }
  }

  public let status: Status
  /// Names the file, the field and the value.
  public let message: String

  public init(_ status: Status, _ message: String) {
    self.status = status
    self.message = message
  }

  public var description: String { message }
}
