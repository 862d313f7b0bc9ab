internal import CHost

/// The border between the host and the library on one thread, and the floating-point environment on either side.
///
/// A host may round upwards, flush denormal numbers to zero or trap exceptions: results must not depend on that, nor may
/// its traps end the process inside the library. So whatever the library does, it does in the environment that processes
/// start with; the caller gets its own back, and callbacks run in the caller's. All this costs nanoseconds.
public enum HostCall {
  /// Runs the body of an exported function.
  public static func enter(_ body: () -> Int32) -> Int32 {
    var call = host_call()
    host_begin_call(&call)
    defer { host_end_call(&call) }
    return body()
  }

  /// Runs a function of the host's, from inside of `enter` or on a thread of the library's own.
  public static func leave(_ body: () -> Int32) -> Int32 {
    host_begin_callback()
    defer { host_end_callback() }
    return body()
  }
}
