import Glibc

/// A file that is written beside `path` and takes its place at `commit`, whole or not at all: readers of `path` meet the
/// old contents or the new ones, and after a crash of the machine one of the two.
///
/// The temporary file is `path` + ".tmp", locked while it is written. What a killed process left there is written over;
/// while another process is at work on it, opening fails.
public final class ReplacementFile: @unchecked Sendable {
  public let path: String
  private let temporaryPath: String
  private let descriptor: Int32
  /// Only the thread that ends the writing uses it.
  private var isDone = false

  /// - Parameters:
  ///   - byteCount: what will be written.
  ///   - isPrivate: whether nobody but the file's owner may read it, whatever the process's mask lets others do.
  /// - Throws: `Failure(.busy)` when another process or engine writes the same file, `.inputOutput` or `.notFound` when
  ///   the folder does not take it or has no room.
  public init(path: String, byteCount: Int, isPrivate: Bool = false) throws(Failure) {
    guard !path.utf8.contains(0) else { throw Failure(.notFound, "a path with a NUL character names no file") }
    self.path = path
    temporaryPath = path + ".tmp"
    let mode: mode_t = isPrivate ? 0o600 : 0o666
    descriptor = open(temporaryPath, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, mode)
    guard descriptor >= 0 else { throw File.failure("cannot create", temporaryPath) }
    do throws(Failure) { try lock() } catch {
      close(descriptor)
      isDone = true
      throw error
    }
    try prepare(byteCount)
    // Before a byte is written: what a killed process left may be open to others.
    guard !isPrivate || fchmod(descriptor, 0o600) == 0 else { throw File.failure("cannot make private", temporaryPath) }
  }

  /// Without a commit nothing stays behind.
  deinit {
    guard !isDone else { return }
    unlink(temporaryPath)
    close(descriptor)
  }

  /// Writes `bytes` at `offset`. Thread: any, several at a time.
  public func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(Failure) {
    var done = 0
    while done < bytes.count, let base = bytes.baseAddress {
      let count = pwrite(descriptor, base + done, bytes.count - done, off_t(offset + done))
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { throw File.failure("cannot write", temporaryPath) }
      done += count
    }
  }

  /// Brings what was written to the disk and puts it in place of `path`. The object is of no use afterwards.
  public func commit() throws(Failure) {
    guard fsync(descriptor) == 0 else { throw File.failure("cannot write", temporaryPath) }
    guard rename(temporaryPath, path) == 0 else { throw File.failure("cannot rename to \(path)", temporaryPath) }
    isDone = true
    close(descriptor)
    ReplacementFile.synchronizeFolder(of: path)
  }

  /// Takes the file for this object alone. Whoever had it before may have renamed or removed it in the meantime: then
  /// what is locked is not the temporary file any more, and must not be touched.
  private func lock() throws(Failure) {
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      guard errno == EWOULDBLOCK else { throw File.failure("cannot lock", temporaryPath) }
      throw Failure(.busy, "\(temporaryPath): another process is writing it")
    }
    var (opened, named) = (stat(), stat())
    guard fstat(descriptor, &opened) == 0, opened.st_mode & S_IFMT == S_IFREG else {
      throw Failure(.inputOutput, "\(temporaryPath): not a regular file")
    }
    guard lstat(temporaryPath, &named) == 0, named.st_ino == opened.st_ino, named.st_dev == opened.st_dev else {
      throw Failure(.busy, "\(temporaryPath): another process has just written it")
    }
  }

  /// Empties the file and sees that it can grow to `byteCount`: what nearly fits would be written for minutes and then
  /// thrown away, and passing the process's limit would raise a signal that ends it.
  private func prepare(_ byteCount: Int) throws(Failure) {
    guard ftruncate(descriptor, 0) == 0 else { throw File.failure("cannot empty", temporaryPath) }
    var limit = rlimit()
    if getrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit) == 0, limit.rlim_cur < UInt64(clamping: byteCount)
    {
      throw Failure(
        .inputOutput, "\(temporaryPath): \(byteCount) bytes are more than this process may write to a file")
    }
    var space = statvfs()
    guard fstatvfs(descriptor, &space) == 0 else { return }
    let (free, isHuge) = UInt64(space.f_bavail).multipliedReportingOverflow(by: UInt64(space.f_frsize))
    guard isHuge || free >= UInt64(clamping: byteCount) else {
      throw Failure(.inputOutput, "\(temporaryPath): no room for \(byteCount) bytes, \(free) are free")
    }
  }

  /// Makes the rename last. Some file systems can't, and then do it in their own time.
  private static func synchronizeFolder(of path: String) {
    let descriptor = open(File.folder(of: path), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { return }
    fsync(descriptor)
    close(descriptor)
  }
}
