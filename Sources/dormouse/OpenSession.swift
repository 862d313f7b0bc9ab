import CDormouse

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
    try OpenSession.interruptible([self], body)
  }

  /// The same for the calls of several sessions.
  static func interruptible<Value>(
    _ sessions: [OpenSession], _ body: () throws(CommandFailure) -> Value
  ) throws(CommandFailure) -> Value {
    let addresses = sessions.map { UInt(bitPattern: $0.handle) }
    return try Interrupt.shared.whileStopping(
      with: { for address in addresses { dormouse_session_cancel(OpaquePointer(bitPattern: address)) } }
    ) { () throws(CommandFailure) in
      let value = try body()
      if Interrupt.shared.isRequested { throw .interrupted }
      return value
    }
  }

  /// Tokens in the session.
  func length() throws(CommandFailure) -> Int {
    var length = 0
    try Library.call { dormouse_session_length(&length, handle, $0) }
    return length
  }

  func save(_ path: String) throws(CommandFailure) {
    try Library.call { dormouse_session_save(handle, path, $0) }
  }

  func restore(_ path: String) throws(CommandFailure) {
    try Library.call { dormouse_session_restore(handle, path, $0) }
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
    try withReceiver(onEvent) { (receiver: Receiver<dormouse_event>) throws(CommandFailure) in
      let function: dormouse_event_fn = { Receiver<dormouse_event>.receive($0, $1) }
      try Library.call { error in
        switch prompt {
        case .tokens(let ids):
          dormouse_session_generate(handle, ids, ids.count, configuration, function, receiver.pointer, error)
        case .messages(let json):
          dormouse_session_chat(handle, json, configuration, function, receiver.pointer, error)
        }
      }
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
