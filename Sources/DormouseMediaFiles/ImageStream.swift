import DormouseSupport

/// Lends a `ByteSource` to a library that reads by callbacks: from a place that moves on, and never past the end.
final class ImageStream {
  let source: ByteSource
  private let watch: MediaWatch
  private(set) var position = 0
  /// Why bytes could not be read, where that is what stopped the library.
  private(set) var problem: Failure?

  init(_ source: ByteSource, watch: MediaWatch) {
    self.source = source
    self.watch = watch
  }

  /// What libraries give back to the callbacks; valid as long as this object.
  var context: UnsafeMutableRawPointer { Unmanaged.passUnretained(self).toOpaque() }

  static func from(_ context: UnsafeMutableRawPointer?) -> ImageStream? {
    context.map { Unmanaged<ImageStream>.fromOpaque($0).takeUnretainedValue() }
  }

  /// Reads what is left, at most `capacity` bytes. Returns their number; 0 at the end, and where reading fails or the
  /// call is to end.
  func read(_ buffer: UnsafeMutableRawPointer?, _ capacity: Int) -> Int {
    guard let buffer, capacity > 0, position < source.count, problem == nil else { return 0 }
    let count = min(capacity, source.count - position)
    do throws(Failure) {
      try watch.check()
      try source.read(into: UnsafeMutableRawBufferPointer(start: buffer, count: count), at: position)
    } catch {
      problem = error
      return 0
    }
    position += count
    return count
  }

  /// False outside of the source.
  func seek(to target: Int) -> Bool {
    guard target >= 0, target <= source.count else { return false }
    position = target
    return true
  }

  /// Throws why the library was stopped from here, if that is so.
  func check() throws(Failure) {
    if let problem { throw problem }
    try watch.check()
  }
}
