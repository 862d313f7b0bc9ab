internal import CDormouse

/// A model that is open, shared by its sessions. Every function may be called from any thread.
public final class OpenEngine: Sendable {
  /// Valid as long as the engine: `dormouse_engine_free` takes it.
  nonisolated(unsafe) let handle: OpaquePointer
  /// Called by the library until the engine is freed.
  private let hooks: Hooks

  /// Opens a model; with its weights this takes as long as reading them.
  /// - Parameter path: the model's folder, or a file in it.
  /// - Throws: `notFound`, `inputOutput`, `malformed` or `unsupported` for what is in the folder, `outOfMemory` where
  ///   `options.memoryLimit` or the machine does not hold it, `invalidArgument` for options that are out of range, and
  ///   `cancelled` where `options.progress` stopped it.
  public init(_ path: String, _ options: Options = Options()) throws(DormouseError) {
    let hooks = Hooks(options)
    let media = try options.media?.json
    self.hooks = hooks
    handle = try Call.open("engine") { handle, error in
      options.withStruct(hooks, media: media) { dormouse_engine_open(handle, path, $0, error) }
    }
  }

  deinit { dormouse_engine_free(handle) }

  /// What the model is; docs/configuration.md lists the members.
  public func info() throws(DormouseError) -> LibraryDocument {
    try Call.document("the document about the model") { dormouse_engine_info($0, $1, $2, handle, $3) }
  }

  /// The memory, in bytes, that the engine and one session with `options` take at most. Works without weights too.
  /// - Throws: `invalidArgument` for options that are out of range.
  public func plan(_ options: OpenSession.Options = OpenSession.Options()) throws(DormouseError) -> LibraryDocument {
    var settings = options.settings
    return try Call.document("the memory plan") { dormouse_engine_plan($0, $1, $2, handle, &settings, $3) }
  }

  /// What the engine does and has done; docs/configuration.md lists the members.
  /// - Throws: `unsupported` without weights.
  public func statistics() throws(DormouseError) -> LibraryDocument {
    try Call.document("the engine's statistics") { dormouse_engine_statistics($0, $1, $2, handle, $3) }
  }

  /// The tokens of a text.
  /// - Parameters:
  ///   - text: UTF-8; what is not is read as U+FFFD.
  ///   - addsSpecial: adds what the tokenizer puts around a text, such as the beginning-of-sequence token.
  ///   - parsesSpecial: takes control tokens written in the text as such.
  /// - Throws: `notFound` where the model has no tokenizer, `malformed` where it takes too long, `invalidArgument` for
  ///   more than 64 MiB.
  public func tokenize(
    _ text: [UInt8], addsSpecial: Bool = false, parsesSpecial: Bool = false
  ) throws(DormouseError) -> [Int32] {
    let flags =
      (addsSpecial ? UInt32(DORMOUSE_TOKENIZE_ADD_SPECIAL) : 0)
      | (parsesSpecial ? UInt32(DORMOUSE_TOKENIZE_PARSE_SPECIAL) : 0)
    return try text.withUnsafeBufferPointer { text throws(DormouseError) in
      let characters = UnsafeRawBufferPointer(text).assumingMemoryBound(to: CChar.self)
      return try Call.array(of: Int32(0)) {
        dormouse_engine_tokenize($0, $1, $2, handle, characters.baseAddress, characters.count, flags, $3)
      }
    }
  }

  /// The text of tokens, in UTF-8.
  /// - Parameter skipsSpecial: leaves control tokens out.
  /// - Throws: `notFound` where the model has no tokenizer, `invalidArgument` for an id outside the vocabulary.
  public func detokenize(_ ids: [Int32], skipsSpecial: Bool = false) throws(DormouseError) -> [UInt8] {
    let flags = skipsSpecial ? UInt32(DORMOUSE_DETOKENIZE_SKIP_SPECIAL) : 0
    return try Call.bytes { dormouse_engine_detokenize($0, $1, $2, handle, ids, ids.count, flags, $3) }
  }

  /// A chat as the model's template renders it, in UTF-8.
  /// - Parameter messages: the JSON that `dormouse_engine_render_messages` takes.
  /// - Throws: `invalidArgument` for messages that are none, `notFound` where the model has no tokenizer or template,
  ///   `malformed` for a template that can't be read or takes too long.
  public func render(messages: String) throws(DormouseError) -> [UInt8] {
    try Call.bytes { dormouse_engine_render_messages($0, $1, $2, handle, messages, $3) }
  }

  /// The tokens of the same rendering: as many as its prompt takes.
  /// - Parameter attachments: what the messages call `attachment:0`, `attachment:1` and so on.
  /// - Throws: as `render`, and what images, videos and audio cause.
  public func tokenize(messages: String, attachments: [MediaAttachment] = []) throws(DormouseError) -> [Int32] {
    try Call.array(of: Int32(0)) { tokens, capacity, count, error in
      attachments.withHandles {
        dormouse_engine_tokenize_messages_with_attachments(tokens, capacity, count, handle, messages, $0, $1, error)
      }
    }
  }
}
