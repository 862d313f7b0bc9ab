internal import CDormouse

/// An open Whisper model. One call at a time; a second one from another thread is `busy`, but `cancel` may come from any.
public final class OpenTranscriber: Sendable {
  /// Valid as long as the transcriber: `dormouse_transcriber_free` takes it.
  private nonisolated(unsafe) let handle: OpaquePointer
  /// Called by the library while the model is loaded.
  private let hooks: Hooks

  /// Opens a Whisper folder.
  /// - Parameter options: threads, residency, `memoryLimit` and `progress` matter.
  /// - Throws: as `OpenEngine.init`; `unsupported` for weights that are not native.
  public init(_ path: String, _ options: OpenEngine.Options = OpenEngine.Options()) throws(DormouseError) {
    let hooks = Hooks(options)
    self.hooks = hooks
    handle = try Call.open("transcriber") { handle, error in
      options.withStruct(hooks, media: nil) { dormouse_transcriber_open(handle, path, $0, error) }
    }
  }

  deinit { dormouse_transcriber_free(handle) }

  /// Stops the call that the transcriber is in within one layer's time; that call throws `cancelled`. Any thread.
  public func cancel() { dormouse_transcriber_cancel(handle) }

  /// Writes down audio of any length. `onSegment` is called on this thread and must not call the transcriber, but for
  /// `cancel`; what it throws stops the work and comes out of here.
  /// - Throws: `DormouseError`, or what `onSegment` throws. `invalidArgument` for an attachment that is not audio and for a
  ///   language or task that the model does not know, `malformed` for audio that can't be decoded, `outOfMemory`, `cancelled`, `timedOut`, `numerical`.
  public func run(
    _ audio: MediaAttachment, _ options: TranscriptionOptions = TranscriptionOptions(),
    onSegment: (Segment) throws -> Void
  ) throws {
    let configuration = try options.json
    try withReceiver(zero: dormouse_segment()) {
      try onSegment(Segment($0))
    } calling: { receiver in
      let function: dormouse_segment_fn = { Receiver<dormouse_segment>.receive($0, $1) }
      try Call.run { dormouse_transcriber_run(handle, audio.handle, configuration, function, receiver.pointer, $0) }
    }
  }
}

extension OpenTranscriber {
  /// Members of the header's `config_json`; what is nil is the library's default.
  public struct TranscriptionOptions: Configuration, Sendable {
    /// A code such as "en"; by default it is detected.
    public var language: String?
    public var task: Task?
    /// Audio of more than 30 s needs them.
    public var timestamps: Bool?
    /// Tried one after the other while a window of the audio fails.
    public var temperature: [Double]?
    /// Same seed, same draws.
    public var seed: Int?
    /// Seconds from the call.
    public var timeLimit: Double?

    public init() {}
  }

  public enum Task: String, Encodable, Sendable, CaseIterable {
    case transcribe
    /// Into English.
    case translate
  }

  /// Something that was said.
  public struct Segment: Sendable {
    /// Seconds from the audio's beginning.
    public var start: Double
    public var end: Double
    /// With the space that the model writes ahead of it.
    public var text: String
    /// Nil for a model of one language.
    public var language: String?
    /// At which the segment's window was written.
    public var temperature: Float
    /// Natural logarithm, of the tokens of the segment's window.
    public var averageLogProbability: Double
    /// Of the same; repetitions have a high one.
    public var compressionRatio: Double
    /// That the window holds no speech.
    public var noSpeechProbability: Double

    fileprivate init(_ segment: dormouse_segment) {
      start = segment.start
      end = segment.end
      text = String(segment.text, count: segment.text_length)
      language = segment.language == nil ? nil : String(segment.language, count: segment.language_length)
      temperature = segment.temperature
      averageLogProbability = segment.average_log_probability
      compressionRatio = segment.compression_ratio
      noSpeechProbability = segment.no_speech_probability
    }
  }
}
