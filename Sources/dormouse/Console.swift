import Glibc

/// The three standard streams. Results go through `write`, messages for people through `message`.
enum Console {
  static let isErrorATerminal = isatty(STDERR_FILENO) == 1
  static let isInputATerminal = isatty(STDIN_FILENO) == 1

  /// Writes to stdout at once: whoever reads a stream of tokens wants each as it comes.
  static func write(_ bytes: [UInt8]) throws(CommandFailure) {
    var done = 0
    while done < bytes.count {
      let count = bytes.withUnsafeBytes {
        Glibc.write(STDOUT_FILENO, $0.baseAddress?.advanced(by: done), $0.count - done)
      }
      if count > 0 {
        done += count
      } else if errno == EPIPE {
        throw .outputClosed
      } else if errno != EINTR {
        throw CommandFailure(message: "cannot write to stdout: \(describe(errno))", endsChat: true)
      }
    }
  }

  static func write(line: String) throws(CommandFailure) {
    try write(Array(line.utf8) + [UInt8(ascii: "\n")])
  }

  /// A line on stderr. A closed stderr is nobody's fault.
  static func message(_ text: String) {
    ProgressBar.clear()
    writeToError(text + "\n")
  }

  static func writeToError(_ text: String) {
    let bytes = Array(text.utf8)
    var done = 0
    while done < bytes.count {
      let count = bytes.withUnsafeBytes {
        Glibc.write(STDERR_FILENO, $0.baseAddress?.advanced(by: done), $0.count - done)
      }
      if count <= 0, errno != EINTR { return }
      done += max(0, count)
    }
  }

  /// All of stdin.
  static func readInput() throws(CommandFailure) -> [UInt8] {
    try read(STDIN_FILENO, "stdin")
  }

  /// All of a file; `-` is stdin.
  static func readFile(_ path: String) throws(CommandFailure) -> [UInt8] {
    if path == "-" { return try readInput() }
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { throw CommandFailure(message: "\(path): cannot open it: \(describe(errno))") }
    defer { close(file) }
    return try read(file, path)
  }

  private static func read(_ file: Int32, _ name: String) throws(CommandFailure) -> [UInt8] {
    var bytes: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = Glibc.read(file, &piece, piece.count)
      if count > 0 {
        bytes += piece[..<count]
      } else if count == 0 {
        return bytes
      } else if errno != EINTR {
        throw CommandFailure(message: "\(name): cannot read it: \(describe(errno))")
      }
    }
  }

  static func describe(_ code: Int32) -> String {
    strerror(code).map { String(cString: $0) } ?? "error \(code)"
  }
}
