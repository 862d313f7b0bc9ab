import CDormouseMedia
public import DormouseSupport
import Glibc

/// libdormouse_media.so, which reads media files by FFmpeg. It is loaded when the first of them is met, so that whoever
/// has none needs neither.
public final class MediaLibrary: Sendable {
  typealias ErrorPointer = UnsafeMutablePointer<dormouse_error>?
  typealias OpenPath =
    @convention(c) (
      UnsafeMutablePointer<OpaquePointer?>?, UnsafePointer<CChar>?, UnsafePointer<dormouse_media_options>?, ErrorPointer
    ) -> dormouse_status
  typealias OpenBytes =
    @convention(c) (
      UnsafeMutablePointer<OpaquePointer?>?, UnsafePointer<UInt8>?, Int, UnsafePointer<dormouse_media_options>?,
      ErrorPointer
    ) -> dormouse_status
  typealias Describe =
    @convention(c) (UnsafeMutablePointer<dormouse_media_info>?, OpaquePointer?, ErrorPointer)
    -> dormouse_status
  typealias Timestamps =
    @convention(c) (
      UnsafeMutablePointer<Double>?, Int, UnsafeMutablePointer<Int>?, OpaquePointer?, ErrorPointer
    ) -> dormouse_status
  typealias Frames =
    @convention(c) (
      OpaquePointer?, UnsafePointer<UInt64>?, Int, dormouse_media_frame_fn?, UnsafeMutableRawPointer?, ErrorPointer
    ) -> dormouse_status
  typealias Samples =
    @convention(c) (
      OpaquePointer?, UInt32, dormouse_media_samples_fn?, UnsafeMutableRawPointer?, ErrorPointer
    ) -> dormouse_status

  /// Where it was found.
  public let path: String
  let openPath: OpenPath
  let openBytes: OpenBytes
  let free: @convention(c) (OpaquePointer?) -> Void
  let describe: Describe
  let timestamps: Timestamps
  let frames: Frames
  let samples: Samples

  /// The library of this process. Once loaded it stays; where it is missing, the next call looks again.
  public static func loaded() throws(Failure) -> MediaLibrary {
    try shared.withLock { (library) throws(Failure) in
      if let library { return library }
      let found = try MediaLibrarySearch.library()
      library = found
      return found
    }
  }

  private static let shared = ProcessLocked<MediaLibrary?> { nil }

  /// Loads one file.
  /// - Throws: `Failure(.unsupported)` where it can't be loaded, or is of another version.
  public init(path: String) throws(Failure) {
    guard let handle = dlopen(path, RTLD_NOW | RTLD_LOCAL) else {
      throw Failure(.unsupported, dlerror().map { String(cString: $0) } ?? "\(path): it cannot be loaded")
    }
    do throws(Failure) {
      let symbols = Symbols(handle: handle, path: path)
      try symbols.checkVersion()
      openPath = unsafeBitCast(try symbols.find("open_path"), to: OpenPath.self)
      openBytes = unsafeBitCast(try symbols.find("open_bytes"), to: OpenBytes.self)
      free = unsafeBitCast(try symbols.find("free"), to: (@convention(c) (OpaquePointer?) -> Void).self)
      describe = unsafeBitCast(try symbols.find("describe"), to: Describe.self)
      timestamps = unsafeBitCast(try symbols.find("timestamps"), to: Timestamps.self)
      frames = unsafeBitCast(try symbols.find("frames"), to: Frames.self)
      samples = unsafeBitCast(try symbols.find("samples"), to: Samples.self)
    } catch {
      dlclose(handle)
      throw error
    }
    self.path = path
  }
}

/// The functions of a loaded library.
private struct Symbols {
  let handle: UnsafeMutableRawPointer
  let path: String

  func find(_ name: String) throws(Failure) -> UnsafeMutableRawPointer {
    guard let symbol = dlsym(handle, "dormouse_media_" + name) else {
      throw Failure(.unsupported, "\(path): it has no function dormouse_media_\(name)")
    }
    return symbol
  }

  /// The same major number, and at least this minor one.
  func checkVersion() throws(Failure) {
    let number = unsafeBitCast(try find("version_number"), to: (@convention(c) () -> UInt32).self)()
    let (major, minor) = (UInt32(DORMOUSE_MEDIA_VERSION_MAJOR), UInt32(DORMOUSE_MEDIA_VERSION_MINOR))
    guard number / 1000 == major, number % 1000 >= minor else {
      throw Failure(
        .unsupported,
        "\(path): its interface is \(number / 1000).\(number % 1000), this library needs \(major).\(minor)")
    }
  }
}
