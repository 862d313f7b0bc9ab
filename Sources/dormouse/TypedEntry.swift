import Glibc

/// What is typed in a chat: a message of one line or several, or a command.
enum TypedEntry {
  case message(String)
  case command(name: String, argument: String)

  private static let quotes = "\"\"\""

  /// Reads one entry; nil when the input is at its end.
  ///
  /// A line that ends in a backslash goes on in the next; lines between """ and """ are one message; a slash begins a
  /// command, and two a message with one.
  static func read(_ editor: LineEditor, prompt: String) -> TypedEntry? {
    guard var line = nextLine(editor, prompt) else { return nil }
    if line.hasPrefix(quotes) { return block(line, editor) }
    if line.hasPrefix("/"), !line.hasPrefix("//") { return command(line) }
    if line.hasPrefix("//") { line.removeFirst() }
    while endsInBackslash(line) {
      line.removeLast()
      guard let next = nextLine(editor, continuation) else { return nil }
      line += "\n" + next
    }
    return .message(line)
  }

  private static let continuation = ". "

  private static func nextLine(_ editor: LineEditor, _ prompt: String) -> String? {
    guard let line = editor.line(prompt: prompt) else { return nil }
    editor.remember(line)
    return line
  }

  /// Two of them are a backslash.
  private static func endsInBackslash(_ line: String) -> Bool {
    line.reversed().prefix { $0 == "\\" }.count % 2 == 1
  }

  private static func block(_ first: String, _ editor: LineEditor) -> TypedEntry? {
    var lines: [String] = []
    var line = String(first.dropFirst(quotes.count))
    while !line.hasSuffix(quotes) {
      lines.append(line)
      guard let next = nextLine(editor, continuation) else { return nil }
      line = next
    }
    lines.append(String(line.dropLast(quotes.count)))
    // What stands on a line with the quotes is text too; where nothing does, there is no empty line.
    if lines.first == "" { lines.removeFirst() }
    if lines.last == "" { lines.removeLast() }
    return .message(lines.joined(separator: "\n"))
  }

  private static func command(_ line: String) -> TypedEntry {
    let words = line.dropFirst().split(separator: " ", maxSplits: 1, omittingEmptySubsequences: true)
    return .command(name: words.first.map(String.init) ?? "", argument: words.count > 1 ? trimmed(words[1]) : "")
  }

  private static func trimmed(_ text: Substring) -> String {
    var text = text.drop(while: \.isWhitespace)
    while text.last?.isWhitespace == true { text.removeLast() }
    return String(text)
  }

  /// The path that a command's argument names, as shells and terminals write it: in quotes, with backslashes ahead of
  /// spaces, or from the home folder.
  static func path(_ argument: String) -> String {
    for quote in ["\"", "'"] where argument.count > 1 && argument.hasPrefix(quote) && argument.hasSuffix(quote) {
      return String(argument.dropFirst().dropLast())
    }
    var path = ""
    var isEscaped = false
    for character in argument {
      if character == "\\", !isEscaped {
        isEscaped = true
      } else {
        path.append(character)
        isEscaped = false
      }
    }
    if path.hasPrefix("~/"), let home = getenv("HOME") { path = String(cString: home) + path.dropFirst() }
    return path
  }
}
