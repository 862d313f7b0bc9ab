import CDormouse
import DormouseSupport

@_cdecl("dormouse_version_number") @implementation
public func dormouse_version_number() -> UInt32 {
  UInt32(DORMOUSE_VERSION_MAJOR) * 1_000_000 + UInt32(DORMOUSE_VERSION_MINOR) * 1000 + UInt32(DORMOUSE_VERSION_PATCH)
}

@_cdecl("dormouse_status_name") @implementation
public func dormouse_status_name(_ status: dormouse_status) -> UnsafePointer<CChar>! {
  Status(rawValue: status).map { name(of: $0) }?.cString ?? unknownName.cString
}

/// A string that lives as long as the process.
private struct StaticCString: Sendable {
  let string: StaticString

  var cString: UnsafePointer<CChar> {
    UnsafeRawPointer(string.utf8Start).assumingMemoryBound(to: CChar.self)
  }
}

private let unknownName = StaticCString(string: "UNKNOWN")

private func name(of status: Status) -> StaticCString {
  let string: StaticString =
    switch status {
    case .ok: "OK"
    case .invalidArgument: "INVALID_ARGUMENT"
    case .notFound: "NOT_FOUND"
    case .inputOutput: "INPUT_OUTPUT"
    case .malformed: "MALFORMED"
    case .unsupported: "UNSUPPORTED"
    case .bufferTooSmall: "BUFFER_TOO_SMALL"
    case .cancelled: "CANCELLED"
    case .outOfMemory: "OUT_OF_MEMORY"
    case .contextFull: "CONTEXT_FULL"
    case .numerical: "NUMERICAL"
    case .busy: "BUSY"
    case .internalError: "INTERNAL"
    case .overloaded: "OVERLOADED"
    case .timedOut: "TIMED_OUT"
    }
  return StaticCString(string: string)
}

@_cdecl("dormouse_error_init") @implementation
public func dormouse_error_init(_ error: UnsafeMutablePointer<dormouse_error>!) {
  guard let error else { return }
  error.initialize(to: dormouse_error())
  error.pointee.struct_size = UInt32(MemoryLayout<dormouse_error>.size)
}

@_cdecl("dormouse_engine_options_init") @implementation
public func dormouse_engine_options_init(_ options: UnsafeMutablePointer<dormouse_engine_options>!) {
  guard let options else { return }
  options.initialize(to: dormouse_engine_options())
  options.pointee.struct_size = UInt32(MemoryLayout<dormouse_engine_options>.size)
}

@_cdecl("dormouse_session_options_init") @implementation
public func dormouse_session_options_init(_ options: UnsafeMutablePointer<dormouse_session_options>!) {
  guard let options else { return }
  options.initialize(to: dormouse_session_options())
  options.pointee.struct_size = UInt32(MemoryLayout<dormouse_session_options>.size)
}
