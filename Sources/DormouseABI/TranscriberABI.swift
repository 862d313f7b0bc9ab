import CDormouse
import DormouseBoundary
import DormouseEngine
import DormouseMedia
import DormouseSpeech
import DormouseSupport

@_cdecl("dormouse_transcriber_open") @implementation
public func dormouse_transcriber_open(
  _ out: UnsafeMutablePointer<OpaquePointer?>!, _ model_path: UnsafePointer<CChar>!,
  _ options: UnsafePointer<dormouse_engine_options>!, _ error: UnsafeMutablePointer<dormouse_error>!
) -> dormouse_status {
  boundary(error) { () throws(Failure) in
    let out = try require(out, "out")
    out.pointee = nil
    let path = try readString(model_path, "model_path")
    let options = try readStruct(options, zero: dormouse_engine_options(), name: "dormouse_engine_options")
    out.pointee = Handle.make(try Transcriber(path: path, options: try EngineOptions(options)))
  }
}

@_cdecl("dormouse_transcriber_free") @implementation
public func dormouse_transcriber_free(_ transcriber: OpaquePointer!) {
  Handle.free(transcriber)
}

@_cdecl("dormouse_transcriber_cancel") @implementation
public func dormouse_transcriber_cancel(_ transcriber: OpaquePointer!) {
  try? Handle.object(transcriber, Transcriber.self, "transcriber").cancel()
}

@_cdecl("dormouse_transcriber_run") @implementation
public func dormouse_transcriber_run(
  _ transcriber: OpaquePointer!, _ attachment: OpaquePointer!, _ config_json: UnsafePointer<CChar>!,
  _ on_segment: dormouse_segment_fn!, _ user_data: UnsafeMutableRawPointer!,
  _ error: UnsafeMutablePointer<dormouse_error>!
) -> dormouse_status {
  returningBoundary(error) { () throws(Failure) in
    let transcriber = try Handle.object(transcriber, Transcriber.self, "transcriber")
    let item = try readAttachment(attachment, "attachment")
    let configuration = try readOptionalString(config_json, "config_json")
    return try transcriber.run(item, configuration: configuration) { segment in
      guard let on_segment else { return 0 }
      return deliver(segment) { segment in HostCall.leave { on_segment(user_data, segment) } }
    }
  }
}

/// Shows a segment to the caller, whose pointers die when `body` returns.
private func deliver(_ segment: TranscriptSegment, _ body: (UnsafePointer<dormouse_segment>) -> Int32) -> Int32 {
  withCharacters(segment.text) { text in
    withCharacters(segment.language ?? "") { language in
      segment.tokens.withUnsafeBufferPointer { tokens in
        var cSegment = dormouse_segment(segment)
        cSegment.text = text.isEmpty ? nil : text.baseAddress
        cSegment.text_length = text.count
        cSegment.language = language.isEmpty ? nil : language.baseAddress
        cSegment.language_length = language.count
        cSegment.tokens = tokens.isEmpty ? nil : tokens.baseAddress
        cSegment.token_count = tokens.count
        return body(&cSegment)
      }
    }
  }
}

private func withCharacters<Result>(_ text: String, _ body: (UnsafeBufferPointer<CChar>) -> Result) -> Result {
  Array(text.utf8).withUnsafeBufferPointer { $0.withMemoryRebound(to: CChar.self, body) }
}

extension dormouse_segment {
  /// All but the pointers.
  fileprivate init(_ segment: TranscriptSegment) {
    self.init()
    struct_size = UInt32(MemoryLayout<dormouse_segment>.size)
    temperature = segment.measures.temperature
    start = segment.start
    end = segment.end
    average_log_probability = segment.measures.averageLogProbability
    compression_ratio = segment.measures.compressionRatio
    no_speech_probability = segment.measures.noSpeechProbability
  }
}
