public import DormouseSupport
import Glibc

/// The folders that media files may come from. Whoever writes messages names files; the host says which of them exist
/// for him. By default there are none.
public struct MediaRoots: Sendable, Equatable {
  /// From the root of the file system, without links.
  public let folders: [String]
  /// Where relative paths begin, from the root and without links; nil: in the current folder.
  public let base: String?

  /// No file at all.
  public static let none = MediaRoots()

  private init() {
    folders = []
    base = nil
  }

  /// - Throws: `Failure(.notFound)` naming a folder that is not there.
  public init(_ folders: [String], base: String? = nil) throws(Failure) {
    var resolved: [String] = []
    for folder in folders { resolved.append(try MediaRoots.resolved(folder)) }
    self.folders = resolved
    self.base = if let base { try MediaRoots.resolved(base) } else { nil }
  }

  private static func resolved(_ folder: String) throws(Failure) -> String {
    guard !folder.utf8.contains(0) else {
      throw Failure(.notFound, "\(Excerpt.name(folder)): a path with a NUL character names no folder")
    }
    guard let path = File.canonicalPath(folder), File.isFolder(path) else {
      throw Failure(.notFound, "\(Excerpt.name(folder)): no such folder for media files")
    }
    return path
  }

  /// Whether `path`, without links, is inside one of the folders.
  public func contain(_ path: String) -> Bool {
    folders.contains { folder in
      let inside = folder == "/" ? folder : folder + "/"
      return path.utf8.starts(with: inside.utf8) && path.utf8.count > inside.utf8.count
    }
  }

  /// Opens a file, whose links are followed first. What is opened is checked, too, so that nobody can put a link in its
  /// place meanwhile.
  /// - Throws: `Failure(.invalidArgument)` for a file outside of the folders, whether it is there or not;
  ///   `Failure(.notFound)` or `.inputOutput` for one inside that is not there, can't be opened, or is a folder.
  public func open(_ name: String) throws(Failure) -> RootedFile {
    let path = placed(name)
    let shown = Excerpt.name(path)
    guard !path.utf8.contains(0) else {
      throw Failure(.invalidArgument, "\(shown): a path with a NUL character names no file")
    }
    guard !folders.isEmpty else {
      throw Failure(.invalidArgument, "\(shown): this host allows no media files; give their contents instead")
    }
    guard let resolved = File.canonicalPath(path) else { throw missing(path, shown) }
    guard contain(resolved) else { throw outside(shown) }
    let descriptor = Glibc.open(resolved, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
    guard descriptor >= 0 else { throw Failure(.inputOutput, "\(shown): \(String(cString: strerror(errno)))") }
    let file = RootedFile(descriptor: descriptor, name: path)
    guard let opened = File.canonicalPath(file.path), contain(opened) else { throw outside(shown) }
    guard !File.isFolder(file.path) else {
      throw Failure(.inputOutput, "\(shown): this is a folder, not a file")
    }
    return file
  }

  /// `path` itself, or below `base` where it is relative.
  private func placed(_ path: String) -> String {
    guard let base, !path.utf8.starts(with: "/".utf8) else { return path }
    return base == "/" ? base + path : base + "/" + path
  }

  private func outside(_ shown: String) -> Failure {
    Failure(.invalidArgument, "\(shown): the file is outside of the folders that media files may come from")
  }

  /// Tells no more than the roots allow: a file that is not there is missing only where its folder is inside of them.
  private func missing(_ path: String, _ shown: String) -> Failure {
    guard let resolved = File.canonicalPath(File.folder(of: path)),
      folders.contains(resolved) || contain(resolved)
    else { return outside(shown) }
    return Failure(.notFound, "\(shown): no such file")
  }
}

/// An open file inside of some roots, closed with this object.
public final class RootedFile: Sendable {
  private let descriptor: Int32
  /// What its opener called it.
  public let name: String

  fileprivate init(descriptor: Int32, name: String) {
    self.descriptor = descriptor
    self.name = name
  }

  deinit { close(descriptor) }

  /// A path that leads to this very file as long as this object lives, whatever happens to its name.
  public var path: String { "/proc/self/fd/\(descriptor)" }
}
