import Glibc

/// A file open for reading. Every read is checked against the file's size as it was at opening.
public final class File: Sendable {
  /// What sentences call it, usually where it is.
  public let path: String
  /// Bytes, from `fstat` at opening.
  public let size: Int
  /// Nanoseconds since 1970, from `fstat` at opening.
  public let modificationTime: Int
  private let descriptor: Int32

  /// - Throws: `Failure(.notFound)` when nothing is there, `Failure(.inputOutput)` when it can't be read or is not a
  ///   regular file.
  public convenience init(path: String) throws(Failure) { try self.init(path: path, name: path) }

  /// - Parameter shown: what sentences call the file, where its path would mean nothing to their reader.
  public init(path: String, name shown: String) throws(Failure) {
    guard !path.utf8.contains(0) else { throw Failure(.notFound, "a path with a NUL character names no file") }
    // Without O_NONBLOCK, opening a named pipe would wait for its other end.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
    guard descriptor >= 0 else { throw File.failure("cannot open", shown) }
    var information = stat()
    guard fstat(descriptor, &information) == 0 else {
      let failure = File.failure("cannot examine", shown)
      close(descriptor)
      throw failure
    }
    guard information.st_mode & S_IFMT == S_IFREG else {
      close(descriptor)
      let what = information.st_mode & S_IFMT == S_IFDIR ? "this is a folder, " : ""
      throw Failure(.inputOutput, "\(shown): \(what)not a regular file")
    }
    self.path = shown
    self.size = Int(information.st_size)
    self.modificationTime = information.st_mtim.tv_sec &* 1_000_000_000 &+ information.st_mtim.tv_nsec
    self.descriptor = descriptor
  }

  deinit { close(descriptor) }

  /// Whether a file or folder exists at `path` (and can be looked up).
  public static func exists(_ path: String) -> Bool { !path.utf8.contains(0) && access(path, F_OK) == 0 }

  /// Whether `path` is a folder.
  public static func isFolder(_ path: String) -> Bool {
    var information = stat()
    return !path.utf8.contains(0) && stat(path, &information) == 0 && information.st_mode & S_IFMT == S_IFDIR
  }

  /// The folder that holds what `path` names: "." for a name alone.
  public static func folder(of path: String) -> String {
    guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  /// Makes the folder `path` in one that exists; nothing happens where it is there.
  /// - Throws: `Failure(.notFound)` or `.inputOutput` when it can't be made.
  public static func makeFolder(_ path: String) throws(Failure) {
    guard !isFolder(path) else { return }
    guard !path.utf8.contains(0) else { throw Failure(.notFound, "a path with a NUL character names no folder") }
    guard mkdir(path, 0o777) == 0 || (errno == EEXIST && isFolder(path)) else {
      throw failure("cannot make the folder", path)
    }
  }

  /// `path` from the root, without links; nil when nothing is there.
  public static func canonicalPath(_ path: String) -> String? {
    guard !path.utf8.contains(0), let resolved = realpath(path, nil) else { return nil }
    defer { free(resolved) }
    return String(cString: resolved)
  }

  /// Fills `buffer` with the bytes from `offset` on.
  /// - Throws: `Failure(.malformed)` when the range is not inside the file, `Failure(.inputOutput)` when reading fails.
  public func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(Failure) {
    try checkRange(offset: offset, count: buffer.count)
    var done = 0
    while done < buffer.count, let base = buffer.baseAddress {
      let count = pread(descriptor, base + done, buffer.count - done, off_t(offset + done))
      if count < 0 && errno == EINTR { continue }
      guard count >= 0 else { throw File.failure("cannot read", path) }
      guard count > 0 else { throw Failure(.inputOutput, "\(path): the file became shorter while it was read") }
      done += count
    }
  }

  /// The `count` bytes from `offset` on.
  public func read(at offset: Int, count: Int) throws(Failure) -> [UInt8] {
    try checkRange(offset: offset, count: count)
    var bytes = [UInt8](repeating: 0, count: count)
    let outcome: Result<Void, Failure> = bytes.withUnsafeMutableBytes { buffer in
      do throws(Failure) { return .success(try read(into: buffer, at: offset)) } catch { return .failure(error) }
    }
    try outcome.get()
    return bytes
  }

  /// The whole file, which may have `limit` bytes at most.
  /// - Throws: besides what reading throws, `Failure(.malformed)` for a pointer of Git LFS in the place of the file.
  public func readAll(limit: Int) throws(Failure) -> [UInt8] {
    guard size <= limit else {
      throw Failure(.malformed, "\(path): the file has \(size) bytes, more than the limit of \(limit)")
    }
    let bytes = try read(at: 0, count: size)
    if GitPointer.isOne(bytes) { throw GitPointer.failure(path, bytes) }
    return bytes
  }

  /// Maps the whole file read-only. The mapping outlives the `File`.
  ///
  /// A file that somebody cuts short while it is mapped kills the process with SIGBUS at the next touch of what was cut
  /// off; no library can prevent that for its host. The size is checked once more right before mapping.
  public func map() throws(Failure) -> MappedFile {
    var information = stat()
    guard fstat(descriptor, &information) == 0 else { throw File.failure("cannot examine", path) }
    guard Int(information.st_size) == size else {
      throw Failure(
        .inputOutput, "\(path): the file had \(size) bytes when it was opened and has \(information.st_size) now")
    }
    guard size > 0 else { return MappedFile(bytes: UnsafeRawBufferPointer(start: nil, count: 0)) }
    guard let address = mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0), address != MAP_FAILED else {
      throw File.failure("cannot map", path)
    }
    return MappedFile(bytes: UnsafeRawBufferPointer(start: address, count: size))
  }

  private func checkRange(offset: Int, count: Int) throws(Failure) {
    guard offset >= 0, count >= 0, offset <= size, count <= size - offset else {
      throw Failure(.malformed, "\(path): \(count) bytes at offset \(offset) are not inside the file's \(size) bytes")
    }
  }

  static func failure(_ what: String, _ path: String) -> Failure {
    let number = errno
    let status: Status = number == ENOENT || number == ENOTDIR ? .notFound : .inputOutput
    return Failure(status, "\(path): \(what): \(String(cString: strerror(number)))")
  }
}

/// A file mapped read-only into memory until this object goes.
public final class MappedFile: @unchecked Sendable {
  public let bytes: UnsafeRawBufferPointer

  fileprivate init(bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  /// Asks the system to read the pages of `range` ahead of their first use. A hint: nothing happens where it can't.
  public func prefetch(_ range: Range<Int>) {
    let inside = range.clamped(to: 0..<bytes.count)
    guard let base = bytes.baseAddress, !inside.isEmpty else { return }
    let start = inside.lowerBound & ~(MappedFile.pageSize - 1)
    madvise(UnsafeMutableRawPointer(mutating: base + start), inside.upperBound - start, MADV_WILLNEED)
  }

  private static let pageSize = max(sysconf(Int32(_SC_PAGESIZE)), 1)

  deinit {
    if let base = bytes.baseAddress { munmap(UnsafeMutableRawPointer(mutating: base), bytes.count) }
  }
}

extension File {
  /// The names in a folder that end in `ending`, in the order of their bytes; all of them by default.
  /// - Throws: `Failure(.malformed)` for more than `limit` of them, `Failure(.notFound)` or `.inputOutput` when the
  ///   folder can't be read.
  public static func names(in folder: String, ending: String = "", limit: Int = .max) throws(Failure) -> [String] {
    guard !folder.utf8.contains(0), let stream = opendir(folder) else {
      throw failure("cannot read the folder", folder)
    }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      guard name.utf8.count > ending.utf8.count, name.hasSuffix(ending) else { continue }
      guard names.count < limit else {
        throw Failure(.malformed, "\(folder): more than \(limit) files end in \(ending)")
      }
      names.append(name)
    }
    return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  }

  /// Reads and parses the JSON document at `path`; the path stands in front of every failure's sentence.
  public static func readJSON(_ path: String, limits: JSON.Limits = JSON.Limits()) throws(Failure) -> JSON {
    let bytes = try File(path: path).readAll(limit: limits.bytes)
    return try withContext(path) { () throws(Failure) in try JSON.parse(bytes, limits: limits) }
  }
}
