import Glibc

/// Paths of files as users give them.
enum FilePath {
  /// The folder that holds what `path` names: "." for a name alone.
  static func folder(of path: String) -> String {
    guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  /// `path` from the root and without links.
  /// - Throws: where nothing is there.
  static func absolute(_ path: String) throws(CommandFailure) -> String {
    guard let resolved = realpath(path, nil) else {
      throw CommandFailure(message: "\(path): cannot open: \(Console.describe(errno))")
    }
    defer { free(resolved) }
    return String(cString: resolved)
  }
}
