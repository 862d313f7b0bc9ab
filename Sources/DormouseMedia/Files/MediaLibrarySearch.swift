import CPlatform
import DormouseSupport
import Glibc

/// Where libdormouse_media.so is looked for: DORMOUSE_MEDIA_LIBRARY alone, where it is set; else beside the library or
/// program that this code is part of, in a `lib` beside its folder, and where the system looks.
enum MediaLibrarySearch {
  static let environmentName = "DORMOUSE_MEDIA_LIBRARY"
  static let soname = "libdormouse_media.so.0"

  static func library() throws(Failure) -> MediaLibrary {
    // A program with more rights than its user must not load what the user names.
    let named = platform_environment(environmentName).map { String(cString: $0) } ?? ""
    let candidates = named.isEmpty ? candidates(besides: ownPath()) : [named]
    var reasons: [String] = []
    for candidate in candidates {
      do throws(Failure) { return try MediaLibrary(path: candidate) } catch { reasons.append(error.message) }
    }
    throw Failure(
      .unsupported,
      "libdormouse_media.so, which reads images, videos and audio, cannot be loaded: install it beside"
        + " libdormouse.so.0 or name it in \(environmentName), and install FFmpeg's libraries (5.1 or later)"
        + " (\(reasons.joined(separator: "; ")))")
  }

  /// The files that exist, and last the name that the system's loader looks for.
  static func candidates(besides own: String?) -> [String] {
    guard let own, let slash = own.utf8.lastIndex(of: UInt8(ascii: "/")) else { return [soname] }
    let folder = String(own[..<slash])
    // A build's folder has the library without its number.
    let places = ["\(folder)/\(soname)", "\(folder)/libdormouse_media.so", "\(folder)/../lib/\(soname)"]
    return places.filter(File.exists) + [soname]
  }

  /// From the root, without links; nil when the system does not tell.
  private static func ownPath() -> String? {
    let loaded = withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(PATH_MAX)) { buffer in
      buffer.baseAddress.flatMap { platform_own_path($0, buffer.count) > 0 ? String(cString: $0) : nil }
    }
    // The loader knows a program by the name that it was called by, which may be no path.
    if let loaded, loaded.utf8.contains(UInt8(ascii: "/")) { return File.canonicalPath(loaded) }
    return File.canonicalPath("/proc/self/exe")
  }
}
