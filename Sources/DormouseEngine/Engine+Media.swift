import DormouseMedia
import DormouseSpeech
import DormouseSupport
import DormouseText

/// Chats with images, videos and audio.
extension Engine {
  /// The timeline of a rendered chat. Its media are prepared for the towers, and not encoded yet.
  /// - Parameter attachments: what parts name by number.
  func prompt(
    _ request: ChatRequest, attachments: [MediaItem] = [], limits: PromptLimits = PromptLimits()
  ) throws(Failure) -> Timeline {
    let (tokens, spans) = try encode(request, attachments, limits)
    return Timeline(tokens: tokens, spans: spans)
  }

  /// The tokens of a rendered chat, as the model's own processor has them.
  func tokens(_ request: ChatRequest, attachments: [MediaItem] = []) throws(Failure) -> [Int32] {
    try encode(request, attachments, PromptLimits()).tokens
  }

  /// The host's limits and this engine's memory, for media that become ready.
  func mediaTerms(_ limits: PromptLimits = PromptLimits()) -> MediaTerms {
    var terms = MediaTerms()
    terms.limits = options.media.file
    terms.rowLimit = limits.contextLength
    terms.budget = memoryBudget
    terms.interruption = limits.interruption
    return terms
  }

  private func encode(
    _ request: ChatRequest, _ attachments: [MediaItem], _ limits: PromptLimits
  ) throws(Failure) -> (tokens: [Int32], spans: [MediaSpan]) {
    let tokenizer = try text.requireTokenizer()
    let parts = try promptParts(request.mediaParts, attachments, tokenizer, limits)
    let runs = try text.render(
      request, mediaPlaceholders: parts.map(\.placeholder), interruption: limits.interruption)
    return try ChatPrompt(parts, tokenizer: tokenizer, file: folder).encode(runs, within: limits)
  }

  private func promptParts(
    _ mediaParts: [MediaPart], _ attachments: [MediaItem], _ tokenizer: Tokenizer, _ limits: PromptLimits
  ) throws(Failure) -> [ChatPrompt.Part] {
    guard let first = mediaParts.first else { return [] }
    let media = try requireMedia(for: first.modality)
    var parts: [ChatPrompt.Part] = []
    var terms = mediaTerms(limits)
    for part in mediaParts {
      let made = try media.promptPart(part, attachments: attachments, tokenizer: tokenizer, terms)
      terms.rowLimit = terms.rowLimit.map { max(0, $0 - made.content.count) }
      parts.append(made)
    }
    return parts
  }

  /// - Parameter modality: what it is wanted for, for the sentence.
  func requireMedia(for modality: Modality?) throws(Failure) -> EngineMedia {
    _ = try requireRuntime()
    guard let media else {
      let others = speech == nil ? "images, videos or audio" : "images or videos"
      throw Failure(.unsupported, "\(folder): this model takes text only, no \(others)" + speechHint(modality))
    }
    return media
  }
}

/// What helps where a model takes no audio.
private func speechHint(_ modality: Modality?) -> String {
  modality == .audio ? "; a Whisper folder as media_config's speech_model transcribes audio for it" : ""
}

extension EngineMedia {
  fileprivate func promptPart(
    _ part: MediaPart, attachments: [MediaItem], tokenizer: Tokenizer, _ terms: MediaTerms
  ) throws(Failure) -> ChatPrompt.Part {
    let modality = part.modality.rawValue
    guard let placeholder = encoder.placeholder(of: part.modality) else {
      throw Failure(
        .unsupported, "\(part.place): this model takes no parts of type \(modality)" + speechHint(part.modality))
    }
    guard let token = encoder.paddingTokens(of: part.modality).lazy.compactMap(tokenizer.id(of:)).first else {
      let names = encoder.paddingTokens(of: part.modality).joined(separator: ", ")
      throw Failure(.malformed, "the tokenizer has none of the tokens that stand for \(modality): \(names)")
    }
    let item = try options.item(part, attachments, terms.interruption)
    let prepared = try part.within { () throws(Failure) in try encoder.prepare(item, terms) }
    return ChatPrompt.Part(
      content: content(prepared), placeholder: placeholder, pieces: prepared.promptPieces, token: token)
  }
}

extension MediaOptions {
  /// What a part stands for; a video or audio is decoded when it is used.
  /// - Throws: a `Failure` that says where the part stands, and which file it is.
  func item(
    _ part: MediaPart, _ attachments: [MediaItem], _ interruption: Interruption
  ) throws(Failure) -> MediaItem {
    switch part.source {
    case .attachment(let index):
      guard attachments.indices.contains(index) else {
        throw Failure(
          .invalidArgument, "\(part.place): there is no attachment \(index), but \(attachments.count) of them")
      }
      let item = attachments[index]
      guard item.modality == part.modality else {
        throw Failure(
          .invalidArgument,
          "\(part.place): attachment \(index) is of type \(item.modality.rawValue); expected \(part.modality.rawValue)")
      }
      // What the host hands over keeps to the limits that it has set, wherever it comes from.
      return try part.within { () throws(Failure) in
        try item.limited(by: file, interruption).sampled(part.framesPerSecond)
      }
    case .reference(let reference):
      let source = try MediaSource(
        reference: reference, name: part.place, roots: roots, byteLimit: dataByteLimit, interruption)
      return try item(part, source, interruption)
    case .base64(let text):
      let bytes = try Base64.decode(text.utf8, name: part.place, limit: dataByteLimit, interruption)
      return try item(part, .bytes(bytes), interruption)
    }
  }

  private func item(
    _ part: MediaPart, _ source: MediaSource, _ interruption: Interruption
  ) throws(Failure) -> MediaItem {
    try part.within { () throws(Failure) in
      try MediaItem(
        source, as: part.modality, name: source.shownName, options: file, framesPerSecond: part.framesPerSecond,
        interruption)
    }
  }
}

extension MediaPart {
  /// Runs `body`, and says where the part stands if it fails; but not where somebody has stopped it.
  func within<Result>(_ body: () throws(Failure) -> Result) throws(Failure) -> Result {
    do { return try body() } catch { throw error.isInterruption ? error : error.prefixed(place) }
  }
}

extension MediaSource {
  /// What sentences call the file.
  fileprivate var shownName: String {
    switch self {
    case .file(let file): Excerpt.name(file.name)
    case .bytes: "the data"
    }
  }
}

extension MediaItem {
  /// The same with another rate of frames to look at, if one is asked for.
  fileprivate func sampled(_ framesPerSecond: Double?) -> MediaItem {
    guard let framesPerSecond, case .video(let video, _) = self else { return self }
    return .video(video, framesPerSecond: framesPerSecond)
  }
}
