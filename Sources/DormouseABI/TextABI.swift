import CDormouse
import DormouseBoundary
import DormouseEngine
import DormouseSupport

@_cdecl("dormouse_engine_tokenize") @implementation
public func dormouse_engine_tokenize(
  _ tokens: UnsafeMutablePointer<Int32>!, _ capacity: Int, _ count: UnsafeMutablePointer<Int>!,
  _ engine: OpaquePointer!, _ text: UnsafePointer<CChar>!, _ text_length: Int, _ flags: UInt32,
  _ error: UnsafeMutablePointer<dormouse_error>!
) -> dormouse_status {
  boundary(error) { () throws(Failure) in
    let engine = try Handle.object(engine, Engine.self, "engine")
    let text = UnsafeRawBufferPointer(try readArray(text, text_length, "text"))
    let addsSpecial = UInt32(DORMOUSE_TOKENIZE_ADD_SPECIAL)
    let parsesSpecial = UInt32(DORMOUSE_TOKENIZE_PARSE_SPECIAL)
    try checkFlags(flags, addsSpecial | parsesSpecial)
    let result = try engine.tokenize(
      text, addSpecial: flags & addsSpecial != 0, parseSpecial: flags & parsesSpecial != 0)
    try deliver(result, tokens, capacity, count, "tokens")
  }
}

@_cdecl("dormouse_engine_detokenize") @implementation
public func dormouse_engine_detokenize(
  _ buffer: UnsafeMutablePointer<CChar>!, _ capacity: Int, _ length: UnsafeMutablePointer<Int>!,
  _ engine: OpaquePointer!, _ tokens: UnsafePointer<Int32>!, _ token_count: Int, _ flags: UInt32,
  _ error: UnsafeMutablePointer<dormouse_error>!
) -> dormouse_status {
  boundary(error) { () throws(Failure) in
    let engine = try Handle.object(engine, Engine.self, "engine")
    let tokens = Array(try readArray(tokens, token_count, "tokens"))
    let skipsSpecial = UInt32(DORMOUSE_DETOKENIZE_SKIP_SPECIAL)
    try checkFlags(flags, skipsSpecial)
    let text = try engine.detokenize(tokens, skipSpecial: flags & skipsSpecial != 0)
    try deliver(text: text, buffer, capacity, length)
  }
}

@_cdecl("dormouse_engine_render_messages") @implementation
public func dormouse_engine_render_messages(
  _ buffer: UnsafeMutablePointer<CChar>!, _ capacity: Int, _ length: UnsafeMutablePointer<Int>!,
  _ engine: OpaquePointer!, _ messages_json: UnsafePointer<CChar>!, _ error: UnsafeMutablePointer<dormouse_error>!
) -> dormouse_status {
  boundary(error) { () throws(Failure) in
    let engine = try Handle.object(engine, Engine.self, "engine")
    let text = try engine.render(messages: try readString(messages_json, "messages_json"))
    try deliver(text: Array(text.utf8), buffer, capacity, length)
  }
}

@_cdecl("dormouse_engine_tokenize_messages") @implementation
public func dormouse_engine_tokenize_messages(
  _ tokens: UnsafeMutablePointer<Int32>!, _ capacity: Int, _ count: UnsafeMutablePointer<Int>!,
  _ engine: OpaquePointer!, _ messages_json: UnsafePointer<CChar>!, _ error: UnsafeMutablePointer<dormouse_error>!
) -> dormouse_status {
  boundary(error) { () throws(Failure) in
    let engine = try Handle.object(engine, Engine.self, "engine")
    let result = try engine.tokenize(messages: try readString(messages_json, "messages_json"))
    try deliver(result, tokens, capacity, count, "tokens")
  }
}

@_cdecl("dormouse_engine_tokenize_messages_with_attachments") @implementation
public func dormouse_engine_tokenize_messages_with_attachments(
  _ tokens: UnsafeMutablePointer<Int32>!, _ capacity: Int, _ count: UnsafeMutablePointer<Int>!,
  _ engine: OpaquePointer!, _ messages_json: UnsafePointer<CChar>!, _ attachments: UnsafePointer<OpaquePointer?>!,
  _ attachment_count: Int, _ error: UnsafeMutablePointer<dormouse_error>!
) -> dormouse_status {
  boundary(error) { () throws(Failure) in
    let engine = try Handle.object(engine, Engine.self, "engine")
    let messages = try readString(messages_json, "messages_json")
    let result = try engine.tokenize(
      messages: messages, attachments: try readAttachments(attachments, attachment_count))
    try deliver(result, tokens, capacity, count, "tokens")
  }
}

private func checkFlags(_ flags: UInt32, _ known: UInt32) throws(Failure) {
  guard flags & ~known == 0 else { throw Failure(.invalidArgument, "flags is \(flags), which has unknown bits") }
}

@_cdecl("dormouse_json_quote") @implementation
public func dormouse_json_quote(
  _ buffer: UnsafeMutablePointer<CChar>!, _ capacity: Int, _ length: UnsafeMutablePointer<Int>!,
  _ text: UnsafePointer<CChar>!, _ text_length: Int, _ error: UnsafeMutablePointer<dormouse_error>!
) -> dormouse_status {
  boundary(error) { () throws(Failure) in
    let text = UnsafeRawBufferPointer(try readArray(text, text_length, "text"))
    // A standard decoding replaces each maximal invalid part, as the tokenizer does.
    let quoted = JSON.string(String(decoding: text, as: UTF8.self)).text()
    try deliver(text: Array(quoted.utf8), buffer, capacity, length)
  }
}
