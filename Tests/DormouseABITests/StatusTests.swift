import CDormouse
import DormouseSupport
import Testing

@testable import DormouseABI

@Suite struct StatusTests {
  /// The header's numbers and names, each spelt out once.
  private static let header: [(number: Int, name: String, status: Status)] = [
    (DORMOUSE_OK, "OK", .ok),
    (DORMOUSE_ERROR_INVALID_ARGUMENT, "INVALID_ARGUMENT", .invalidArgument),
    (DORMOUSE_ERROR_NOT_FOUND, "NOT_FOUND", .notFound),
    (DORMOUSE_ERROR_INPUT_OUTPUT, "INPUT_OUTPUT", .inputOutput),
    (DORMOUSE_ERROR_MALFORMED, "MALFORMED", .malformed),
    (DORMOUSE_ERROR_UNSUPPORTED, "UNSUPPORTED", .unsupported),
    (DORMOUSE_ERROR_BUFFER_TOO_SMALL, "BUFFER_TOO_SMALL", .bufferTooSmall),
    (DORMOUSE_ERROR_CANCELLED, "CANCELLED", .cancelled),
    (DORMOUSE_ERROR_OUT_OF_MEMORY, "OUT_OF_MEMORY", .outOfMemory),
    (DORMOUSE_ERROR_CONTEXT_FULL, "CONTEXT_FULL", .contextFull),
    (DORMOUSE_ERROR_NUMERICAL, "NUMERICAL", .numerical),
    (DORMOUSE_ERROR_BUSY, "BUSY", .busy),
    (DORMOUSE_ERROR_INTERNAL, "INTERNAL", .internalError),
    (DORMOUSE_ERROR_OVERLOADED, "OVERLOADED", .overloaded),
    (DORMOUSE_ERROR_TIMED_OUT, "TIMED_OUT", .timedOut),
  ]

  @Test func headerAndLibraryHaveTheSameStatuses() {
    #expect(Self.header.count == Status.allCases.count)
    for entry in Self.header {
      #expect(Int(entry.status.rawValue) == entry.number)
      #expect(String(cString: dormouse_status_name(entry.status.rawValue)) == entry.name)
    }
    for unknown in [Int32(1), -15, .min, .max] {
      #expect(String(cString: dormouse_status_name(unknown)) == "UNKNOWN")
    }
  }

  @Test func headerAndEngineNumberEventsAlike() {
    #expect(DORMOUSE_EVENT_PROMPT == 1 && DORMOUSE_EVENT_TOKEN == 2 && DORMOUSE_EVENT_END == 3)
    #expect(DORMOUSE_FINISH_STOP == 1 && DORMOUSE_FINISH_LENGTH == 2 && DORMOUSE_FINISH_CONTEXT == 3)
  }
}
