import DormouseClient
import Glibc

/// The file of `run --session`, and beside it the messages of the chat, if it holds one: FILE.messages.json. The
/// messages are what was said, and the session is what need not be computed again. Both are their owner's alone to read.
struct SavedSession {
  let path: String
  /// Whether there was a file at the start.
  let isThere: Bool
  /// What was said so far; nil when no chat has been kept.
  let messages: [Message]?

  /// Looks at what is there, before any weights are loaded.
  init(_ path: String) throws(CommandFailure) {
    self.path = path
    isThere = try SavedSession.isThere(path)
    try SavedSession.requireWritableFolder(of: path)
    let messagesPath = SavedSession.messagesPath(path)
    guard isThere, try SavedSession.isThere(messagesPath) else {
      messages = nil
      return
    }
    messages = try JSONDocument.read([Message].self, try Console.readFile(messagesPath), name: messagesPath)
  }

  /// The messages that a chat goes on from.
  /// - Parameter system: instructions for a chat that begins.
  func start(system: String?) throws(CommandFailure) -> [Message] {
    guard isThere else { return Message.start(system: system) }
    guard let messages else {
      throw CommandFailure(
        message: "\(SavedSession.messagesPath(path)) is missing, so \(path) holds no chat to go on with;"
          + " give all messages with --messages, or go on with --raw")
    }
    guard system == nil else {
      throw CommandFailure(message: "\(path): --system comes at the beginning of a chat, and this one has begun")
    }
    return messages
  }

  func restore(_ session: OpenSession) throws {
    if isThere { try session.restore(path) }
  }

  /// - Parameter messages: of the chat; nil when the session was used otherwise.
  func save(_ session: OpenSession, _ messages: [Message]?) throws {
    try session.save(path)
    guard let messages else { return }
    let file = try ReplacedFile(SavedSession.messagesPath(path), isPrivate: true)
    try file.write(JSONDocument.line(messages) + "\n")
    try file.finish()
  }

  private static func messagesPath(_ path: String) -> String { path + ".messages.json" }

  private static func isThere(_ path: String) throws(CommandFailure) -> Bool {
    var status = stat()
    if stat(path, &status) == 0 {
      try ReplacedFile.refuseSpecialFile(path)
      return true
    }
    guard errno == ENOENT else {
      throw CommandFailure(message: "\(path): cannot look at it: \(Console.describe(errno))")
    }
    return false
  }

  /// It would be a pity to learn of it after the answer.
  private static func requireWritableFolder(of path: String) throws(CommandFailure) {
    guard access(FilePath.folder(of: path), W_OK) == 0 else {
      throw CommandFailure(message: "\(path): cannot write into its folder: \(Console.describe(errno))")
    }
  }
}
