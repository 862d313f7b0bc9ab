import CDormouse

/// Calls into dormouse.h with Swift's errors: what every command stands on.
enum Library {
  typealias ErrorPointer = UnsafeMutablePointer<dormouse_error>

  /// Runs one call and throws its sentence when it fails. A positive value, which stands for a callback that stopped
  /// the work, is no failure.
  static func call(_ body: (ErrorPointer) -> dormouse_status) throws(CommandFailure) {
    var error = dormouse_error()
    dormouse_error_init(&error)
    let status = body(&error)
    guard status < 0 else { return }
    if status == Int32(DORMOUSE_ERROR_CANCELLED), Interrupt.shared.isRequested { throw .interrupted }
    throw CommandFailure(message: message(of: error, status))
  }

  private static func message(of error: dormouse_error, _ status: dormouse_status) -> String {
    let text = withUnsafeBytes(of: error.message) { bytes in
      String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }
    return text.isEmpty ? dormouse_status_name(status).map { String(cString: $0) } ?? "status \(status)" : text
  }

  /// What a function delivers into a caller's buffer: asks for the size, then for the contents.
  static func array<Element: BitwiseCopyable>(
    of zero: Element,
    _ body: (UnsafeMutablePointer<Element>?, Int, UnsafeMutablePointer<Int>, ErrorPointer) -> dormouse_status
  ) throws(CommandFailure) -> [Element] {
    var count = 0
    let status = try callAllowing(Int32(DORMOUSE_ERROR_BUFFER_TOO_SMALL)) { body(nil, 0, &count, $0) }
    if status == 0 { return [] }
    var elements = [Element](repeating: zero, count: count)
    try call { error in
      elements.withUnsafeMutableBufferPointer { body($0.baseAddress, $0.count, &count, error) }
    }
    return elements
  }

  static func bytes(
    _ body: (UnsafeMutablePointer<CChar>?, Int, UnsafeMutablePointer<Int>, ErrorPointer) -> dormouse_status
  ) throws(CommandFailure) -> [UInt8] {
    try array(of: CChar(0), body).map { UInt8(bitPattern: $0) }
  }

  static func string(
    _ body: (UnsafeMutablePointer<CChar>?, Int, UnsafeMutablePointer<Int>, ErrorPointer) -> dormouse_status
  ) throws(CommandFailure) -> String {
    String(decoding: try bytes(body), as: UTF8.self)
  }

  private static func callAllowing(
    _ allowed: dormouse_status, _ body: (ErrorPointer) -> dormouse_status
  ) throws(CommandFailure) -> dormouse_status {
    var status: dormouse_status = 0
    try call { error in
      status = body(error)
      return status == allowed ? 0 : status
    }
    return status
  }
}

/// An open engine.
final class OpenEngine {
  let handle: OpaquePointer

  /// Opens the model of `options` with a progress bar; an interrupt stops the loading.
  init(_ options: ModelOptions, withoutWeights: Bool = false) throws(CommandFailure) {
    var settings = dormouse_engine_options()
    dormouse_engine_options_init(&settings)
    settings.flags = withoutWeights ? UInt32(DORMOUSE_ENGINE_WITHOUT_WEIGHTS) : 0
    settings.thread_count = options.threads ?? 0
    settings.pin_threads = options.pin ? 1 : 0
    settings.weights = options.weights?.code ?? 0
    settings.residency = options.residency?.code ?? 0
    settings.memory_limit = options.memory?.bytes ?? 0
    let bar = ProgressBar("loading") { "\(Units.bytes($0)) of \(Units.bytes($1))" }
    settings.progress = { bar, done, total in
      guard let bar else { return 0 }
      Unmanaged<ProgressBar>.fromOpaque(bar).takeUnretainedValue().show(done, of: total)
      return Interrupt.shared.isRequested ? 1 : 0
    }
    settings.progress_user_data = Unmanaged.passUnretained(bar).toOpaque()
    settings.log = { _, level, message, length in
      guard let message, level <= 2 else { return }
      let bytes = UnsafeRawBufferPointer(start: message, count: length)
      Console.message("dormouse: " + String(decoding: bytes, as: UTF8.self))
    }
    var opened: OpaquePointer?
    defer { ProgressBar.clear() }
    // Lives until the engine is open: the settings point to it.
    let folder = try options.packedCache?.path(model: options.model).map { Array($0.utf8CString) }
    try withExtendedLifetime(bar) { () throws(CommandFailure) in
      try Interrupt.shared.whileStopping(with: {}) { () throws(CommandFailure) in
        try Library.call { error in
          guard let folder else { return dormouse_engine_open(&opened, options.model, &settings, error) }
          return folder.withUnsafeBufferPointer {
            settings.packed_cache_folder = $0.baseAddress
            return dormouse_engine_open(&opened, options.model, &settings, error)
          }
        }
      }
    }
    guard let opened else { throw CommandFailure(message: "\(options.model): the library gave no engine") }
    handle = opened
  }

  deinit { dormouse_engine_free(handle) }

  /// The JSON document about the model.
  func info() throws(CommandFailure) -> String {
    try Library.string { dormouse_engine_info($0, $1, $2, handle, $3) }
  }

  /// The JSON document about memory, for a session with `settings`.
  func plan(_ settings: dormouse_session_options) throws(CommandFailure) -> String {
    var settings = settings
    return try Library.string { dormouse_engine_plan($0, $1, $2, handle, &settings, $3) }
  }

  func tokenize(_ text: [UInt8], flags: UInt32) throws(CommandFailure) -> [Int32] {
    let characters = text.map { CChar(bitPattern: $0) }
    return try Library.array(of: Int32(0)) {
      dormouse_engine_tokenize($0, $1, $2, handle, characters, characters.count, flags, $3)
    }
  }

  func detokenize(_ ids: [Int32], flags: UInt32) throws(CommandFailure) -> [UInt8] {
    try Library.bytes { dormouse_engine_detokenize($0, $1, $2, handle, ids, ids.count, flags, $3) }
  }
}

/// An open session.
final class OpenSession {
  let handle: OpaquePointer

  init(_ engine: OpenEngine, _ settings: dormouse_session_options) throws(CommandFailure) {
    var settings = settings
    var opened: OpaquePointer?
    try Library.call { dormouse_session_open(&opened, engine.handle, &settings, $0) }
    guard let opened else { throw CommandFailure(message: "the library gave no session") }
    handle = opened
  }

  deinit { dormouse_session_free(handle) }

  static func settings(_ options: ModelOptions) -> dormouse_session_options {
    var settings = dormouse_session_options()
    dormouse_session_options_init(&settings)
    settings.context_length = options.context ?? 0
    settings.cache = options.cache?.code ?? 0
    return settings
  }

  /// Runs `body`; an interrupt meanwhile cancels the session's call, which then throws `interrupted`.
  func interruptible<Value>(_ body: () throws(CommandFailure) -> Value) throws(CommandFailure) -> Value {
    let address = UInt(bitPattern: handle)
    return try Interrupt.shared.whileStopping(
      with: { dormouse_session_cancel(OpaquePointer(bitPattern: address)) }
    ) { () throws(CommandFailure) in
      let value = try body()
      if Interrupt.shared.isRequested { throw .interrupted }
      return value
    }
  }

  func truncate(_ length: Int) throws(CommandFailure) {
    try Library.call { dormouse_session_truncate(handle, length, $0) }
  }

  func prefill(_ ids: ArraySlice<Int32>) throws(CommandFailure) {
    try ids.withUnsafeBufferPointer { ids throws(CommandFailure) in
      try Library.call { dormouse_session_prefill(handle, ids.baseAddress, ids.count, $0) }
    }
  }

  /// Writes the logits after each of `ids` to `logits` [ids, vocabulary].
  func prefill(_ ids: ArraySlice<Int32>, logits: inout [Float]) throws(CommandFailure) {
    var count = 0
    try ids.withUnsafeBufferPointer { ids throws(CommandFailure) in
      try logits.withUnsafeMutableBufferPointer { logits throws(CommandFailure) in
        try Library.call {
          dormouse_session_prefill_logits(
            logits.baseAddress, logits.count, &count, handle, ids.baseAddress, ids.count, $0)
        }
      }
    }
  }

  /// What `generate` and `chat` start from.
  enum Prompt {
    case tokens([Int32])
    case messages(String)
  }

  /// Generates; `onEvent` may throw, which stops the work and comes out of here.
  func generate(
    _ prompt: Prompt, configuration: String, onEvent: (dormouse_event) throws(CommandFailure) -> Void
  ) throws(CommandFailure) {
    try withoutActuallyEscaping(onEvent) { onEvent throws(CommandFailure) in
      let receiver = EventReceiver(onEvent)
      let pointer = Unmanaged.passUnretained(receiver).toOpaque()
      try withExtendedLifetime(receiver) { () throws(CommandFailure) in
        try Library.call { error in
          switch prompt {
          case .tokens(let ids):
            dormouse_session_generate(handle, ids, ids.count, configuration, EventReceiver.function, pointer, error)
          case .messages(let json):
            dormouse_session_chat(handle, json, configuration, EventReceiver.function, pointer, error)
          }
        }
        if let failure = receiver.failure { throw failure }
      }
    }
  }
}

/// Stands between the C callback and a Swift closure.
private final class EventReceiver {
  private let onEvent: (dormouse_event) throws(CommandFailure) -> Void
  private(set) var failure: CommandFailure?

  init(_ onEvent: @escaping (dormouse_event) throws(CommandFailure) -> Void) { self.onEvent = onEvent }

  static let function: dormouse_event_fn = { receiver, event in
    guard let receiver, let event else { return 1 }
    return Unmanaged<EventReceiver>.fromOpaque(receiver).takeUnretainedValue().receive(event.pointee)
  }

  private func receive(_ event: dormouse_event) -> Int32 {
    do throws(CommandFailure) {
      try onEvent(event)
      return 0
    } catch {
      failure = error
      return 1
    }
  }
}

extension dormouse_event {
  /// The event's text, whole characters.
  var bytes: [UInt8] {
    guard let text else { return [] }
    return Array(UnsafeRawBufferPointer(start: text, count: text_length))
  }
}
