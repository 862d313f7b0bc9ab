internal import CDormouse

extension OpenSession {
  /// What an answer starts from.
  public enum Prompt: Sendable {
    /// They are appended; there may be none when the session has logits.
    case tokens([Int32])
    /// A chat, as the JSON that `dormouse_engine_render_messages` takes, and what it calls `attachment:0` and so on. What
    /// the session already holds of it stays, the rest is dropped.
    case messages(String, attachments: [MediaAttachment] = [])
  }

  /// Generates token by token. `onEvent` is called on this thread and must not call the session, but for `cancel`; what
  /// it throws stops the work and comes out of here.
  /// - Parameter tools: functions that the model may call, an array in JSON as OpenAI has it, whose members' order the
  ///   template shows; chats alone. The answer then comes in parts.
  /// - Throws: `DormouseError`, or what `onEvent` throws. `invalidArgument` for messages or options that are none,
  ///   `contextFull`, `outOfMemory`, `overloaded`, `cancelled`, `timedOut`, `numerical`; for a chat, what its template
  ///   and its media files cause.
  public func generate(
    _ prompt: Prompt, _ options: GenerationOptions = GenerationOptions(), form: AnswerForm? = nil,
    tools: String? = nil, onEvent: (Event) throws -> Void
  ) throws {
    var configuration = try options.json(tools: tools)
    if let form { configuration = try form.added(to: configuration) }
    try withReceiver(zero: dormouse_event()) { event in
      if let event = Event(event) { try onEvent(event) }
    } calling: { receiver in
      let function: dormouse_event_fn = { Receiver<dormouse_event>.receive($0, $1) }
      try Call.run { error in
        switch prompt {
        case .tokens(let ids):
          dormouse_session_generate(handle, ids, ids.count, configuration, function, receiver.pointer, error)
        case .messages(let json, let attachments):
          attachments.withHandles {
            dormouse_session_chat_with_attachments(
              handle, json, $0, $1, configuration, function, receiver.pointer, error)
          }
        }
      }
    }
  }
}

extension OpenSession {
  /// How an answer is generated: the members of `config_json`, which dormouse.h explains. What is nil comes from the
  /// model's generation_config.json, then from the library.
  public struct GenerationOptions: Configuration, Sendable {
    /// 1 and up; without it until the context is full.
    public var maxTokens: UInt32?
    /// 0 takes the most probable token.
    public var temperature: Double?
    /// 0: off.
    public var topK: UInt32?
    public var topP: Double?
    public var minP: Double?
    public var repetitionPenalty: Double?
    public var presencePenalty: Double?
    public var frequencyPenalty: Double?
    /// A token id, in digits, to what is added to its logit.
    public var logitBias: [String: Double]?
    /// Same seed, same text.
    public var seed: Int?
    /// The text ends before the first of these that occurs.
    public var stop: [String]?
    /// The text ends at one of these.
    public var stopTokenIds: [UInt32]?
    /// Alternatives told for each token, up to 20; -1 tells the chosen token's probability alone.
    public var logprobs: Int?
    /// "model" (by itself): the model's own distribution; "sampled": that which the token was drawn from.
    public var logprobsOf: String?
    /// End tokens do not end the text.
    public var ignoreEos: Bool?
    /// Larger ones are let in and computed first.
    public var priority: Int?
    /// Seconds from the call.
    public var timeLimit: Double?
    /// The answer comes in parts; without it, where `thinking`, `reasoningEffort` or tools ask for that.
    public var parts: Bool?
    /// How the model writes reasoning and calls; without it as its chat template says.
    public var answerFormat: String?
    /// Whether the model reasons before it answers.
    public var thinking: Thinking?
    /// "none", "minimal", "low", "medium", "high", "xhigh" or "max".
    public var reasoningEffort: String?
    /// "auto", "none", "required", or a function's name.
    public var toolChoice: String?
    /// The scripts that the answer's letters are of.
    public var language: Language?

    public init() {}

    /// `tools` stand ahead of the rest, as they were written.
    fileprivate func json(tools: String?) throws(DormouseError) -> String {
      let json = try self.json
      return tools.map { adding("tools", $0, to: json) } ?? json
    }
  }

  /// The scripts of an answer: one of both is given.
  public struct Language: Encodable, Sendable {
    /// Unicode's names.
    public var scripts: [String]?
    /// A language by its code, or "same".
    public var answer: String?

    public init(scripts: [String]? = nil, answer: String? = nil) {
      self.scripts = scripts
      self.answer = answer
    }
  }

  /// Whether a model reasons before it answers.
  public enum Thinking: Encodable, Sendable {
    case on
    case off
    /// At most so many tokens.
    case budget(Int)

    public func encode(to encoder: any Encoder) throws {
      switch self {
      case .on, .off:
        var value = encoder.singleValueContainer()
        if case .on = self { try value.encode(true) } else { try value.encode(false) }
      case .budget(let tokens):
        try ["budget_tokens": tokens].encode(to: encoder)
      }
    }
  }

  /// What happens while an answer is generated.
  public enum Event: Sendable {
    /// So many of the prompt's tokens are in the session by now. Ahead of the first ones an image, some frames of a video
    /// or a window of audio may be encoded, which leaves `done` as it was.
    case prompt(done: Int, of: Int)
    case token(Token)
    /// Of an answer in parts, whose tokens and end have no text.
    case part(Part)
    /// The last event.
    case end(End)
  }

  /// A token that was chosen.
  public struct Token: Sendable {
    public var id: Int32
    /// What may be shown by now, whole characters: none while a character or a stop string is unfinished.
    public var text: String
    /// Natural logarithms, of the distribution that `logprobsOf` names; 0 and none unless `logprobs` asked for them.
    public var logProbability: Float
    /// The most probable tokens, best first.
    public var alternatives: [(id: Int32, logProbability: Float)]
  }

  /// Text of a part of an answer.
  public struct Part: Sendable {
    public enum Kind: String, Sendable {
      case content
      case reasoning
      /// The name of a function that is called, whole.
      case toolName = "tool_name"
      /// The call's arguments, an object in JSON, piece by piece.
      case toolArguments = "tool_arguments"
      /// What was meant as a call and is none, as it was written.
      case brokenCall = "broken_call"
    }

    public var kind: Kind
    public var text: String
    /// Of a call: its place among the answer's calls, from 0.
    public var toolIndex: Int
    public var toolID: String
    public var toolName: String
  }

  /// How an answer ended, and what it took.
  public struct End: Sendable {
    /// What was withheld from the events before.
    public var text: String
    public var finishReason: FinishReason
    public var promptTokens: Int
    /// Of these, in the session before the call.
    public var promptReused: Int
    /// Of these, computed by other sessions.
    public var promptShared: Int
    /// An end token included.
    public var generatedTokens: Int
    public var promptSeconds: Double
    public var generationSeconds: Double
    /// From the call until the session was let in.
    public var waitingSeconds: Double
    /// Of the prompt's tokens, those that stand for images, videos and audio.
    public var imageTokens: Int
    public var videoTokens: Int
    public var audioTokens: Int
    /// What the speech model wrote for this call.
    public var transcribedTokens: Int
    /// Of the audio whose transcripts stand in the prompt.
    public var transcribedSeconds: Double
    /// Of the letters outside of code, the shares that are of the expected scripts; nil where there are none, or nothing
    /// is expected.
    public var consistencyContent: Double?
    public var consistencyReasoning: Double?
  }

  public enum FinishReason: String, Sendable {
    /// An end token, one of `stopTokenIds`, or a stop string.
    case stop
    /// `maxTokens`.
    case length
    /// `timeLimit`.
    case time
    /// The context is full.
    case context
    /// An end token behind calls of tools.
    case toolCalls = "tool_calls"
  }
}

extension OpenSession.Event {
  /// Nil for a kind that this client does not know.
  fileprivate init?(_ event: dormouse_event) {
    switch Int(event.kind) {
    case DORMOUSE_EVENT_PROMPT: self = .prompt(done: Int(event.prompt_done), of: Int(event.prompt_tokens))
    case DORMOUSE_EVENT_TOKEN: self = .token(OpenSession.Token(event))
    case DORMOUSE_EVENT_PART:
      guard let part = OpenSession.Part(event) else { return nil }
      self = .part(part)
    case DORMOUSE_EVENT_END: self = .end(OpenSession.End(event))
    default: return nil
    }
  }
}

extension OpenSession.Token {
  fileprivate init(_ event: dormouse_event) {
    id = event.token
    text = String(event.text, count: event.text_length)
    logProbability = event.log_probability
    alternatives = UnsafeBufferPointer(start: event.alternatives, count: event.alternative_count)
      .map { ($0.token, $0.log_probability) }
  }
}

extension OpenSession.Part {
  /// Nil for a part that this client does not know.
  fileprivate init?(_ event: dormouse_event) {
    switch Int(event.part) {
    case DORMOUSE_PART_CONTENT: kind = .content
    case DORMOUSE_PART_REASONING: kind = .reasoning
    case DORMOUSE_PART_TOOL_NAME: kind = .toolName
    case DORMOUSE_PART_TOOL_ARGUMENTS: kind = .toolArguments
    case DORMOUSE_PART_BROKEN_CALL: kind = .brokenCall
    default: return nil
    }
    text = String(event.text, count: event.text_length)
    toolIndex = Int(event.tool_index)
    toolID = String(event.tool_id, count: event.tool_id_length)
    toolName = String(event.tool_name, count: event.tool_name_length)
  }
}

extension OpenSession.End {
  fileprivate init(_ event: dormouse_event) {
    text = String(event.text, count: event.text_length)
    finishReason =
      switch Int(event.finish_reason) {
      case DORMOUSE_FINISH_STOP: .stop
      case DORMOUSE_FINISH_LENGTH: .length
      case DORMOUSE_FINISH_TIME: .time
      case DORMOUSE_FINISH_TOOL_CALLS: .toolCalls
      default: .context
      }
    promptTokens = Int(event.prompt_tokens)
    promptReused = Int(event.prompt_reused)
    promptShared = Int(event.prompt_shared)
    generatedTokens = Int(event.generated_tokens)
    promptSeconds = event.prompt_seconds
    generationSeconds = event.generation_seconds
    waitingSeconds = event.waiting_seconds
    imageTokens = Int(event.image_tokens)
    videoTokens = Int(event.video_tokens)
    audioTokens = Int(event.audio_tokens)
    transcribedTokens = Int(event.transcribed_tokens)
    transcribedSeconds = event.transcribed_seconds
    consistencyContent = event.consistency_content.isNaN ? nil : Double(event.consistency_content)
    consistencyReasoning = event.consistency_reasoning.isNaN ? nil : Double(event.consistency_reasoning)
  }
}
