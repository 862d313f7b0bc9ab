import CDormouse
import DormouseBoundary
import DormouseEngine
import DormouseSupport

@_cdecl("dormouse_session_open") @implementation
public func dormouse_session_open(
  _ out: UnsafeMutablePointer<OpaquePointer?>!, _ engine: OpaquePointer!,
  _ options: UnsafePointer<dormouse_session_options>!, _ error: UnsafeMutablePointer<dormouse_error>!
) -> dormouse_status {
  boundary(error) { () throws(Failure) in
    let out = try require(out, "out")
    out.pointee = nil
    let engine = try Handle.object(engine, Engine.self, "engine")
    let options = try readStruct(options, zero: dormouse_session_options(), name: "dormouse_session_options")
    out.pointee = Handle.make(try Session(engine: engine, options: try SessionOptions(options)))
  }
}

@_cdecl("dormouse_session_free") @implementation
public func dormouse_session_free(_ session: OpaquePointer!) {
  silentBoundary { try? Handle.object(session, Session.self, "session").giveBackWhatIsLost() }
  Handle.free(session)
}

@_cdecl("dormouse_session_cancel") @implementation
public func dormouse_session_cancel(_ session: OpaquePointer!) {
  try? Handle.object(session, Session.self, "session").cancel()
}

@_cdecl("dormouse_session_length") @implementation
public func dormouse_session_length(
  _ length: UnsafeMutablePointer<Int>!, _ session: OpaquePointer!, _ error: UnsafeMutablePointer<dormouse_error>!
) -> dormouse_status {
  boundary(error) { () throws(Failure) in
    let length = try require(length, "length")
    length.pointee = try Handle.object(session, Session.self, "session").length()
  }
}

@_cdecl("dormouse_session_truncate") @implementation
public func dormouse_session_truncate(
  _ session: OpaquePointer!, _ length: Int, _ error: UnsafeMutablePointer<dormouse_error>!
) -> dormouse_status {
  boundary(error) { () throws(Failure) in
    try Handle.object(session, Session.self, "session").truncate(to: length)
  }
}

@_cdecl("dormouse_session_fork") @implementation
public func dormouse_session_fork(
  _ out: UnsafeMutablePointer<OpaquePointer?>!, _ session: OpaquePointer!,
  _ error: UnsafeMutablePointer<dormouse_error>!
) -> dormouse_status {
  boundary(error) { () throws(Failure) in
    let out = try require(out, "out")
    out.pointee = nil
    out.pointee = Handle.make(try Handle.object(session, Session.self, "session").fork())
  }
}

@_cdecl("dormouse_session_save") @implementation
public func dormouse_session_save(
  _ session: OpaquePointer!, _ path: UnsafePointer<CChar>!, _ error: UnsafeMutablePointer<dormouse_error>!
) -> dormouse_status {
  boundary(error) { () throws(Failure) in
    let session = try Handle.object(session, Session.self, "session")
    try session.save(to: try readString(path, "path"))
  }
}

@_cdecl("dormouse_session_restore") @implementation
public func dormouse_session_restore(
  _ session: OpaquePointer!, _ path: UnsafePointer<CChar>!, _ error: UnsafeMutablePointer<dormouse_error>!
) -> dormouse_status {
  boundary(error) { () throws(Failure) in
    let session = try Handle.object(session, Session.self, "session")
    try session.restore(from: try readString(path, "path"))
  }
}

@_cdecl("dormouse_session_prefill") @implementation
public func dormouse_session_prefill(
  _ session: OpaquePointer!, _ tokens: UnsafePointer<Int32>!, _ token_count: Int,
  _ error: UnsafeMutablePointer<dormouse_error>!
) -> dormouse_status {
  boundary(error) { () throws(Failure) in
    let session = try Handle.object(session, Session.self, "session")
    try session.prefill(try readArray(tokens, token_count, "tokens"))
  }
}

@_cdecl("dormouse_session_prefill_logits") @implementation
public func dormouse_session_prefill_logits(
  _ logits: UnsafeMutablePointer<Float>!, _ capacity: Int, _ count: UnsafeMutablePointer<Int>!,
  _ session: OpaquePointer!, _ tokens: UnsafePointer<Int32>!, _ token_count: Int,
  _ error: UnsafeMutablePointer<dormouse_error>!
) -> dormouse_status {
  boundary(error) { () throws(Failure) in
    let session = try Handle.object(session, Session.self, "session")
    let tokens = Array(try readArray(tokens, token_count, "tokens"))
    let needed = try CheckedSize.product(tokens.count, session.vocabularySize, of: "the number of logits")
    try require(count, "count").pointee = needed
    try checkRoom(needed, logits, capacity, "logits")
    try session.prefill(tokens, allLogits: UnsafeMutableBufferPointer(start: logits, count: needed))
  }
}

@_cdecl("dormouse_session_logits") @implementation
public func dormouse_session_logits(
  _ logits: UnsafeMutablePointer<Float>!, _ capacity: Int, _ count: UnsafeMutablePointer<Int>!,
  _ session: OpaquePointer!, _ error: UnsafeMutablePointer<dormouse_error>!
) -> dormouse_status {
  boundary(error) { () throws(Failure) in
    let session = try Handle.object(session, Session.self, "session")
    try require(count, "count").pointee = session.vocabularySize
    try checkRoom(session.vocabularySize, logits, capacity, "logits")
    try session.copyLogits(to: UnsafeMutableBufferPointer(start: logits, count: session.vocabularySize))
  }
}

@_cdecl("dormouse_session_embed") @implementation
public func dormouse_session_embed(
  _ out: UnsafeMutablePointer<Float>!, _ capacity: Int, _ count: UnsafeMutablePointer<Int>!, _ session: OpaquePointer!,
  _ tokens: UnsafePointer<Int32>!, _ token_count: Int, _ config_json: UnsafePointer<CChar>!,
  _ error: UnsafeMutablePointer<dormouse_error>!
) -> dormouse_status {
  boundary(error) { () throws(Failure) in
    let session = try Handle.object(session, Session.self, "session")
    let tokens = Array(try readArray(tokens, token_count, "tokens"))
    let configuration = try readOptionalString(config_json, "config_json")
    try require(count, "count").pointee = session.hiddenSize
    try checkRoom(session.hiddenSize, out, capacity, "out")
    try session.embed(
      tokens, configuration: configuration, into: UnsafeMutableBufferPointer(start: out, count: session.hiddenSize))
  }
}

@_cdecl("dormouse_session_generate") @implementation
public func dormouse_session_generate(
  _ session: OpaquePointer!, _ tokens: UnsafePointer<Int32>!, _ token_count: Int,
  _ config_json: UnsafePointer<CChar>!, _ on_event: dormouse_event_fn!, _ user_data: UnsafeMutableRawPointer!,
  _ error: UnsafeMutablePointer<dormouse_error>!
) -> dormouse_status {
  returningBoundary(error) { () throws(Failure) in
    let session = try Handle.object(session, Session.self, "session")
    let tokens = Array(try readArray(tokens, token_count, "tokens"))
    let configuration = try readOptionalString(config_json, "config_json")
    return try session.generate(tokens, configuration: configuration, onEvent: handler(on_event, user_data))
  }
}

@_cdecl("dormouse_session_chat") @implementation
public func dormouse_session_chat(
  _ session: OpaquePointer!, _ messages_json: UnsafePointer<CChar>!, _ config_json: UnsafePointer<CChar>!,
  _ on_event: dormouse_event_fn!, _ user_data: UnsafeMutableRawPointer!, _ error: UnsafeMutablePointer<dormouse_error>!
) -> dormouse_status {
  returningBoundary(error) { () throws(Failure) in
    let session = try Handle.object(session, Session.self, "session")
    let messages = try readString(messages_json, "messages_json")
    let configuration = try readOptionalString(config_json, "config_json")
    return try session.chat(
      messages: messages, configuration: configuration, onEvent: handler(on_event, user_data))
  }
}

@_cdecl("dormouse_session_chat_with_attachments") @implementation
public func dormouse_session_chat_with_attachments(
  _ session: OpaquePointer!, _ messages_json: UnsafePointer<CChar>!, _ attachments: UnsafePointer<OpaquePointer?>!,
  _ attachment_count: Int, _ config_json: UnsafePointer<CChar>!, _ on_event: dormouse_event_fn!,
  _ user_data: UnsafeMutableRawPointer!, _ error: UnsafeMutablePointer<dormouse_error>!
) -> dormouse_status {
  returningBoundary(error) { () throws(Failure) in
    let session = try Handle.object(session, Session.self, "session")
    let messages = try readString(messages_json, "messages_json")
    let items = try readAttachments(attachments, attachment_count)
    let configuration = try readOptionalString(config_json, "config_json")
    return try session.chat(
      messages: messages, attachments: items, configuration: configuration,
      onEvent: handler(on_event, user_data))
  }
}

/// The caller's function as the engine's event handler; without one every event is taken as seen.
private func handler(_ callback: dormouse_event_fn?, _ userData: UnsafeMutableRawPointer?) -> EventHandler {
  guard let callback else { return { _ in 0 } }
  return { event in
    let alternatives = event.alternatives.map {
      dormouse_alternative(token: $0.token, log_probability: $0.logProbability)
    }
    return alternatives.withUnsafeBufferPointer { alternatives in
      withText(event.text) { text in
        var cEvent = dormouse_event(event)
        cEvent.text = text.baseAddress
        cEvent.text_length = text.count
        cEvent.alternatives = alternatives.isEmpty ? nil : alternatives.baseAddress
        cEvent.alternative_count = alternatives.count
        guard !event.toolCall.name.isEmpty else { return HostCall.leave { callback(userData, &cEvent) } }
        return withText(Array(event.toolCall.id.utf8)) { id in
          withText(Array(event.toolCall.name.utf8)) { name in
            cEvent.tool_id = id.baseAddress
            cEvent.tool_id_length = id.count
            cEvent.tool_name = name.baseAddress
            cEvent.tool_name_length = name.count
            return HostCall.leave { callback(userData, &cEvent) }
          }
        }
      }
    }
  }
}

/// The bytes as C has them: no address where there are none.
private func withText(_ bytes: [UInt8], _ body: (UnsafeBufferPointer<CChar>) -> Int32) -> Int32 {
  bytes.withUnsafeBufferPointer { bytes in
    bytes.withMemoryRebound(to: CChar.self) { text in
      body(text.isEmpty ? UnsafeBufferPointer(start: nil, count: 0) : text)
    }
  }
}

extension dormouse_event {
  /// All but the pointers.
  fileprivate init(_ event: GenerationEvent) {
    self.init()
    struct_size = UInt32(MemoryLayout<dormouse_event>.size)
    kind = event.kind.rawValue
    token = event.token
    log_probability = event.logProbability
    finish_reason = event.finishReason?.rawValue ?? 0
    prompt_tokens = UInt32(clamping: event.counts.promptTokens)
    prompt_done = UInt32(clamping: event.counts.promptDone)
    prompt_reused = UInt32(clamping: event.counts.promptReused)
    generated_tokens = UInt32(clamping: event.counts.generatedTokens)
    prompt_shared = UInt32(clamping: event.counts.promptShared)
    prompt_seconds = event.counts.promptSeconds
    generation_seconds = event.counts.generationSeconds
    waiting_seconds = event.counts.waitingSeconds
    image_tokens = UInt32(clamping: event.counts.mediaTokens.image)
    video_tokens = UInt32(clamping: event.counts.mediaTokens.video)
    audio_tokens = UInt32(clamping: event.counts.mediaTokens.audio)
    transcribed_tokens = UInt32(clamping: event.counts.transcribedTokens)
    transcribed_seconds = event.counts.transcribedSeconds
    part = event.part?.rawValue ?? 0
    tool_index = UInt32(clamping: event.toolCall.index)
    consistency_content = event.consistency.content
    consistency_reasoning = event.consistency.reasoning
  }
}
