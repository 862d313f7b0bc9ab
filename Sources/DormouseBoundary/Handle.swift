public import DormouseSupport

/// Swift objects behind the header's opaque pointers: each handle owns one reference.
///
/// What a handle must pass before anything behind it is touched is checked here, for all functions: it is not NULL, and
/// it was made by this process. In a child of `fork` there is nobody to work for a handle of the parent's, and locks may
/// be held for ever, so that nothing of it is touched, not even to free it.
public enum Handle {
  /// What the pointer points to.
  @usableFromInline
  final class Box {
    @usableFromInline let generation = ProcessGeneration.current
    @usableFromInline let object: AnyObject

    @usableFromInline
    init(_ object: AnyObject) { self.object = object }
  }

  @inlinable
  public static func make(_ object: some AnyObject) -> OpaquePointer {
    OpaquePointer(Unmanaged.passRetained(Box(object)).toOpaque())
  }

  /// - Throws: `Failure(.invalidArgument)` for NULL, and in a child of the process that made the handle.
  @inlinable
  public static func object<Object: AnyObject>(_ handle: OpaquePointer?, _ type: Object.Type, _ name: String)
    throws(Failure)
    -> Object
  {
    guard let handle else { throw Failure(.invalidArgument, "\(name) is NULL") }
    let box = Unmanaged<Box>.fromOpaque(UnsafeRawPointer(handle)).takeUnretainedValue()
    guard box.generation == .current else { throw ofParent(name) }
    return unsafeDowncast(box.object, to: Object.self)
  }

  /// Gives the handle's reference back; NULL does nothing, nor does a handle of another process.
  public static func free(_ handle: OpaquePointer?) {
    guard let handle else { return }
    silentBoundary {
      let box = Unmanaged<Box>.fromOpaque(UnsafeRawPointer(handle))
      if box.takeUnretainedValue().generation == .current { box.release() }
    }
  }

  @usableFromInline
  static func ofParent(_ name: String) -> Failure {
    Failure(
      .invalidArgument,
      "\(name) was opened by the process that this one was forked from: it is of no use here, open one anew")
  }
}
