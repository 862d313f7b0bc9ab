import Glibc

/// A file in the making, which gets its name only when it is whole; until then, and if the work fails, there is nothing
/// of that name that was not there before.
final class ReplacedFile {
  let path: String
  private let temporaryPath: String
  private let file: Int32
  private var isFinished = false

  /// - Parameter isPrivate: whether nobody but the file's owner may read it, from its first byte on.
  init(_ path: String, isPrivate: Bool = false) throws(CommandFailure) {
    self.path = path
    temporaryPath = "\(path).partial-\(getpid())"
    try ReplacedFile.refuseSpecialFile(path)
    // One of the same number, in another time, may have been killed.
    unlink(temporaryPath)
    file = open(temporaryPath, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, isPrivate ? 0o600 : 0o666)
    guard file >= 0 else {
      throw CommandFailure(message: "\(temporaryPath): cannot create it: \(Console.describe(errno))")
    }
  }

  deinit {
    close(file)
    if !isFinished { unlink(temporaryPath) }
  }

  func finish() throws(CommandFailure) {
    guard fsync(file) == 0, rename(temporaryPath, path) == 0 else {
      throw CommandFailure(message: "\(path): cannot write it: \(Console.describe(errno))")
    }
    isFinished = true
  }

  func write(_ bytes: UnsafeRawBufferPointer) throws(CommandFailure) {
    var done = 0
    while done < bytes.count {
      let count = Glibc.write(file, bytes.baseAddress?.advanced(by: done), bytes.count - done)
      if count > 0 {
        done += count
      } else if errno != EINTR {
        throw CommandFailure(message: "\(temporaryPath): cannot write it: \(Console.describe(errno))")
      }
    }
  }

  func write(_ text: String) throws(CommandFailure) {
    try Array(text.utf8).withUnsafeBufferPointer { bytes throws(CommandFailure) in
      try write(UnsafeRawBufferPointer(bytes))
    }
  }

  /// Renaming over a device or a folder is never what was meant.
  static func refuseSpecialFile(_ path: String) throws(CommandFailure) {
    var status = stat()
    if stat(path, &status) == 0, status.st_mode & S_IFMT != S_IFREG {
      throw CommandFailure(message: "\(path): there is something else than a file of this name")
    }
  }
}
