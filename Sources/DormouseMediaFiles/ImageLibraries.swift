import CImageLibraries
import DormouseSupport
import Glibc

/// The libraries that a system may lack: they are opened when the first image needs one, and stay open. Where one is
/// missing, images of its formats are refused, and all others are read as ever.
enum ImageLibraries {
  private enum Outcome<Functions> {
    case open(Functions)
    case missing(String)
  }

  /// libtiff from 4.5 on, which brought the limit of one allocation and messages of one file's own.
  static func tiff(_ watch: MediaWatch) throws(Failure) -> image_tiff_functions {
    try functions(tiffLibrary, "TIFF images are read by libtiff, 4.5 or later (Debian's package libtiff6)", watch)
  }

  /// libheif, as Debian has had it from 1.15 on.
  /// - Parameter format: "HEIC" or "AVIF".
  static func heif(_ format: String, _ watch: MediaWatch) throws(Failure) -> image_heif_functions {
    try functions(heifLibrary, "\(format) images are read by libheif (Debian's package libheif1)", watch)
  }

  // Written once, before anybody sees them.
  nonisolated(unsafe) private static let tiffLibrary = open(
    "libtiff.so.6", image_tiff_functions(), image_find_tiff)
  nonisolated(unsafe) private static let heifLibrary = open(
    "libheif.so.1", image_heif_functions(), image_find_heif
  ) { functions in _ = functions.heif_init(nil) }

  private static func open<Functions>(
    _ name: String, _ empty: Functions,
    _ find: (UnsafeMutablePointer<Functions>?, UnsafeMutableRawPointer?) -> UnsafePointer<CChar>?,
    prepare: (Functions) -> Void = { _ in }
  ) -> Outcome<Functions> {
    guard let library = dlopen(name, RTLD_NOW | RTLD_LOCAL) else {
      return .missing(dlerror().map { String(cString: $0) } ?? "\(name) cannot be loaded")
    }
    var functions = empty
    if let missing = find(&functions, library) {
      dlclose(library)
      return .missing("\(name) has no function \(String(cString: missing))")
    }
    prepare(functions)
    return .open(functions)
  }

  private static func functions<Functions>(
    _ library: Outcome<Functions>, _ need: String, _ watch: MediaWatch
  ) throws(Failure) -> Functions {
    switch library {
    case .open(let functions): return functions
    case .missing(let reason): throw watch.failure(.unsupported, "\(need), which cannot be loaded here: \(reason)")
    }
  }
}
