import DormouseKernels
import DormouseMedia
import DormouseSpeech
import DormouseSupport

/// What was transcribed for a chat with a model that takes text alone.
struct TranscriptionCounts: Sendable, Equatable {
  /// Tokens that the speech model has written for this call.
  var tokens = 0
  /// Seconds of the audio whose transcripts stand in the prompt.
  var seconds = 0.0
}

/// Chats with audio for models without an audio tower: a speech model transcribes it.
extension Engine {
  /// Where the sentences about a speech model begin.
  static let speechContext = "media_config: speech_model"

  /// The speech model of the options, by its headers; nil where there is none, or the model takes audio itself.
  static func speechFolder(
    besides towers: MediaFolder?, _ options: EngineOptions
  ) throws(Failure) -> WhisperFolder? {
    guard let folder = options.media.speechModel, towers?.modalities.contains(.audio) != true else { return nil }
    return try withContext(speechContext) { () throws(Failure) in try WhisperFolder(folder, log: options.log) }
  }

  static func openSpeech(
    _ folder: WhisperFolder, options: EngineOptions, pool: ThreadPool, kernels: Kernels, budget: MemoryBudget,
    progress: Progress?
  ) throws(Failure) -> SpeechModel {
    try withContext(speechContext) { () throws(Failure) in
      try SpeechModel(
        folder, residency: options.residency, pool: pool, kernels: kernels, budget: budget, progress: progress)
    }
  }

  /// Bytes of the speech model that the options name and of one transcription, by its headers; 0 where none would be
  /// opened.
  func speechByteCount(besides towers: MediaFolder?) throws(Failure) -> UInt64 {
    guard let folder = try Engine.speechFolder(besides: towers, options) else { return 0 }
    return try withContext(Engine.speechContext) { () throws(Failure) in
      UInt64(clamping: try folder.plan(threadCount: pool.threadCount, kernels: kernels).totalByteCount)
    }
  }

  /// The chat with a transcript in place of each audio part, where there is a speech model; else as it was.
  /// - Parameter interruption: asked between packets and pieces of audio, once a layer of the encoder, and once a
  ///   token.
  /// - Throws: what interrupts it, or what is wrong with audio, and where it stands.
  func transcribed(
    _ request: ChatRequest, attachments: [MediaItem], _ interruption: Interruption = .never
  ) throws(Failure) -> (request: ChatRequest, counts: TranscriptionCounts) {
    var counts = TranscriptionCounts()
    guard let speech else { return (request, counts) }
    var texts: [String] = []
    for part in request.mediaParts where part.modality == .audio {
      guard case .audio(let audio) = try options.media.item(part, attachments, interruption) else {
        throw Failure(.internalError, "\(part.place): audio became something else")
      }
      let (transcript, isNew) = try part.within { () throws(Failure) in
        try speech.transcript(of: audio, mediaTerms(PromptLimits(interruption: interruption)))
      }
      if isNew { counts.tokens += transcript.tokenCount }
      counts.seconds += transcript.seconds
      texts.append(transcript.text.trimmingSpaces)
    }
    return (texts.isEmpty ? request : request.replacingAudio(by: texts), counts)
  }
}

extension String {
  /// Without the spaces that Whisper writes ahead of each segment.
  fileprivate var trimmingSpaces: String {
    var text = self[...]
    while text.first == " " { text = text.dropFirst() }
    while text.last == " " { text = text.dropLast() }
    return String(text)
  }
}
