import Glibc
import Synchronization

/// Lines typed on a terminal. Where the system has libedit, which is loaded only now, they can be edited, and those
/// before come back with the arrow keys; else, and on a terminal that cannot move its cursor, the system's own editing of
/// a line has to do.
final class LineEditor {
  private typealias ReadLine = @convention(c) (UnsafePointer<CChar>?) -> UnsafeMutablePointer<CChar>?
  private typealias AddHistory = @convention(c) (UnsafePointer<CChar>?) -> Int32

  private let readLine: ReadLine?
  private let addHistory: AddHistory?
  private var last: String?

  /// How the terminal was before a line was edited, for whoever leaves in the middle of one.
  private static let terminal = Mutex<termios?>(nil)

  /// The names under which the systems have it.
  private static let libraryNames = ["libedit.so.2", "libedit.so.0"]

  init() {
    guard let library = LineEditor.library(),
      let readLine = dlsym(library, "readline"), let addHistory = dlsym(library, "add_history")
    else {
      (readLine, addHistory) = (nil, nil)
      return
    }
    self.readLine = unsafeBitCast(readLine, to: ReadLine.self)
    self.addHistory = unsafeBitCast(addHistory, to: AddHistory.self)
    LineEditor.prepareLocale()
    LineEditor.prepareTerminal(library)
  }

  /// Never closed: it keeps handlers of signals.
  private static func library() -> UnsafeMutableRawPointer? {
    let terminal = getenv("TERM").map { String(cString: $0) } ?? ""
    guard Console.isInputATerminal, Console.isErrorATerminal, !terminal.isEmpty, terminal != "dumb" else { return nil }
    for name in libraryNames {
      if let library = dlopen(name, RTLD_NOW | RTLD_LOCAL) { return library }
    }
    return nil
  }

  /// Characters are those of UTF-8 even where nobody has chosen a language.
  private static func prepareLocale() {
    setlocale(LC_CTYPE, "")
    if let name = nl_langinfo(Int32(CODESET)), String(cString: name) != "UTF-8" { setlocale(LC_CTYPE, "C.UTF-8") }
  }

  /// Prompts go to stderr: stdout is for answers.
  private static func prepareTerminal(_ library: UnsafeMutableRawPointer) {
    if let output = dlsym(library, "rl_outstream"), let error = fdopen(STDERR_FILENO, "w") {
      output.assumingMemoryBound(to: UnsafeMutablePointer<FILE>?.self).pointee = error
    }
    var state = termios()
    if tcgetattr(STDIN_FILENO, &state) == 0 { terminal.withLock { $0 = state } }
  }

  /// Puts the terminal back as it was. Any thread.
  static func restoreTerminal() {
    terminal.withLock { state in
      if var state { tcsetattr(STDIN_FILENO, TCSANOW, &state) }
    }
  }

  /// The next line without its end; nil when there are no more.
  func line(prompt: String) -> String? {
    guard let readLine else {
      Console.writeToError(prompt)
      return Swift.readLine()
    }
    guard let text = readLine(prompt) else { return nil }
    defer { free(text) }
    return String(cString: text)
  }

  /// Lets the arrow keys bring a line back.
  func remember(_ line: String) {
    guard let addHistory, line != last, !line.isEmpty else { return }
    _ = addHistory(line)
    last = line
  }
}
