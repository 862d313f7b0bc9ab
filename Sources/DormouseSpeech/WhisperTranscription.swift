import DormouseAudio
import DormouseLayers
import DormouseSupport
import DormouseText

/// One transcription: windows of the audio one after another, each from where the last one's transcript ended
/// (`WhisperGenerationMixin.generate` of transformers 5.23 for one audio input).
final class WhisperTranscription {
  private let model: Whisper
  private let options: WhisperOptions
  private let audio: WhisperAudio
  private let encoder: AudioEncoder
  private let writer: WhisperWriter
  private let features: AlignedBuffer
  /// The frame from which the decoder has heard a window; nil before the first one.
  private var heardFrame: Int?
  /// The tokens of every segment so far, as the next window is told of them.
  private var previous: [Int32] = []
  private var segments: [TranscriptSegment] = []

  /// - Throws: `Failure(.invalidArgument)` for samples that make no sense, `Failure(.outOfMemory)`.
  init(
    _ model: Whisper, _ samples: UnsafeBufferPointer<Float>, _ options: WhisperOptions, _ interruption: Interruption
  ) throws(Failure) {
    self.model = model
    self.options = options
    audio = try WhisperAudio(samples, model, interruption)
    if !options.hasTimestamps, audio.frameCount > model.configuration.encoder.windowFrameCount {
      throw Failure(
        .invalidArgument,
        "audio of \(audio.seconds) s without timestamps; windows of \(model.spectrogram.configuration.chunkLength) s"
          + " are joined by them")
    }
    let c = model.configuration
    encoder = try AudioEncoder(c.encoder, model.weights.encoder, pool: model.pool, kernels: model.kernels)
    writer = try WhisperWriter(model, options)
    features = try AlignedBuffer(
      byteCount: CheckedSize.product(c.encoder.windowFrameCount, c.encoder.melBinCount, 4, of: "a window's features"),
      for: "a window's features")
  }

  func run(
    interruption: Interruption, onProgress: (Double, Double) -> Void, onSegment: (TranscriptSegment) -> Void
  ) throws(Failure) -> Transcript {
    var language = givenLanguage()
    if language == nil { language = try detectLanguage(interruption: interruption) }
    let beginning = beginning(language)
    let window = model.configuration.encoder.windowFrameCount
    var frame = 0
    while frame < audio.frameCount {
      onProgress(min(Double(frame) * WhisperSegments.framePrecision, audio.seconds), audio.seconds)
      let frames = min(audio.frameCount - frame, window)
      try listen(from: frame, interruption: interruption)
      let prompt = writer.conditions ? prompt(beginning) : beginning
      let written = try writer.write(after: prompt, start: prompt.count - beginning.count, interruption: interruption)
      guard let written else {
        frame += frames
        continue
      }
      let cut = WhisperSegments(
        written.tokens, timestampBegin: model.generation.timestampBegin, firstFrame: frame, frames: frames,
        audioLength: audio.seconds)
      for segment in cut.segments { onSegment(try add(segment, written, language?.code)) }
      // Never stay in place, whatever a model writes.
      frame += cut.frameCount > 0 ? cut.frameCount : frames
    }
    onProgress(audio.seconds, audio.seconds)
    return Transcript(
      language: language?.code, segments: segments, tokenCount: writer.tokenCount, seconds: audio.seconds)
  }

  private func givenLanguage() -> WhisperGenerationConfiguration.Language? {
    guard let code = options.language else { return nil }
    return model.generation.languages.first { ExactString($0.code) == ExactString(code) }
  }

  /// The likeliest of the model's languages after `<|startoftranscript|>`.
  func detectLanguage(interruption: Interruption) throws(Failure) -> WhisperGenerationConfiguration.Language? {
    guard let first = model.generation.languages.first else { return nil }
    try listen(from: 0, interruption: interruption)
    let logits = try writer.logits(after: [model.generation.start])
    return model.generation.languages.reduce(first) { logits[Int($1.token)] > logits[Int($0.token)] ? $1 : $0 }
  }

  // MARK: - Windows

  /// Lets the decoder hear the window from `frame` on, filled up with zeroes.
  private func listen(from frame: Int, interruption: Interruption) throws(Failure) {
    guard heardFrame != frame else { return }
    let rows = features.bound(to: Float.self)
    try audio.features(from: frame, into: rows)
    guard let base = rows.baseAddress else { return }
    let count = model.configuration.encoder.sourcePositions
    try encoder.run(base, count: count, interruption: interruption)
    encoder.finish(count)
    try writer.decoder.listen(to: encoder.blocks, interruption: interruption)
    heardFrame = frame
  }

  /// The tokens that say what is wanted.
  private func beginning(_ language: WhisperGenerationConfiguration.Language?) -> [Int32] {
    let g = model.generation
    var tokens = [g.start]
    if let language {
      tokens.append(language.token)
      if let task = options.task == .translate ? g.translate : g.transcribe { tokens.append(task) }
    } else {
      tokens += g.forced
    }
    if !options.hasTimestamps {
      if tokens.last != g.noTimestamps { tokens.append(g.noTimestamps) }
    } else if tokens.last == g.noTimestamps {
      tokens.removeLast()
    }
    return tokens
  }

  /// What was said before, then `beginning`.
  private func prompt(_ beginning: [Int32]) -> [Int32] {
    guard !segments.isEmpty else { return beginning }
    let most = model.configuration.targetPositions / 2 - 1
    // transformers takes the last but one of the suppressed tokens where no file names the token.
    let suppressed = model.generation.suppressed
    let start = model.generation.previous ?? (suppressed.count >= 2 ? suppressed[suppressed.count - 2] : nil)
    return (start.map { [$0] } ?? []) + previous.suffix(most) + beginning
  }

  private func add(
    _ segment: WhisperSegments.Segment, _ written: WhisperWriter.Window, _ language: String?
  ) throws(Failure) -> TranscriptSegment {
    let begin = model.generation.timestampBegin
    let tokens = Array(written.tokens[segment.tokens])
    // Of the two timestamps that end a window's last segment, the next window is told the first.
    let hasPair = tokens.count > 2 && tokens[tokens.count - 2] >= begin
    previous += hasPair ? tokens.dropLast() : tokens[...]
    // Ids of a padded output layer stand for no text.
    let known = tokens.filter { $0 < begin && model.tokenizer.bytes(of: $0) != nil }
    let text = try model.tokenizer.decode(known, skipSpecial: true)
    let result = TranscriptSegment(
      start: segment.start, end: segment.end, text: String(decoding: text, as: UTF8.self),
      language: language, tokens: tokens, measures: written.measures)
    segments.append(result)
    return result
  }
}
