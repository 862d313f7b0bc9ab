import DormouseSupport

/// Swift objects behind the header's opaque pointers: each handle owns one reference.
public enum Handle {
  @inlinable
  public static func make(_ object: some AnyObject) -> OpaquePointer {
    OpaquePointer(Unmanaged.passRetained(object).toOpaque())
  }

  /// - Throws: `Failure(.invalidArgument)` for NULL.
  @inlinable
  public static func object<Object: AnyObject>(_ handle: OpaquePointer?, _ type: Object.Type, _ name: String)
    throws(Failure)
    -> Object
  {
    guard let handle else { throw Failure(.invalidArgument, "\(name) is NULL") }
    return Unmanaged<Object>.fromOpaque(UnsafeRawPointer(handle)).takeUnretainedValue()
  }

  /// Gives the handle's reference back; NULL does nothing.
  @inlinable
  public static func free<Object: AnyObject>(_ handle: OpaquePointer?, _ type: Object.Type) {
    if let handle { Unmanaged<Object>.fromOpaque(UnsafeRawPointer(handle)).release() }
  }
}
