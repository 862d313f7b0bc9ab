public import DormouseText

/// What a generation reports while it runs; the header's `dormouse_event`.
public struct GenerationEvent: Sendable {
  /// What has happened; the numbers of `DORMOUSE_EVENT_...`.
  public enum Kind: Int32, Sendable {
    /// Some of the prompt is evaluated, or some of its media encoded.
    case prompt = 1
    /// A token was chosen.
    case token = 2
    /// The answer has ended.
    case end = 3
    /// Text of one of the answer's parts, where it comes in parts: behind the token that decided it, or ahead of the end.
    case part = 4
  }

  /// Why an answer has ended; the numbers of `DORMOUSE_FINISH_...`.
  public enum FinishReason: Int32, Sendable {
    /// An end token, one of `stop_token_ids`, or a stop string.
    case stop = 1
    /// `max_tokens`.
    case length = 2
    /// The context is full.
    case context = 3
    /// `time_limit`.
    case time = 4
    /// The model has called tools, and ended its answer.
    case toolCalls = 5
  }

  /// One of the most probable tokens at a place.
  public struct Alternative: Sendable {
    /// Its id.
    public var token: Int32
    /// Natural; of the model's own distribution, before rules and temperature, or of that which the token was drawn from.
    public var logProbability: Float
  }

  /// What has happened.
  public var kind: Kind
  /// The id of the chosen token; -1 in other events.
  public var token: Int32 = -1
  /// The chosen token's, as `Alternative` has it; 0 where none was asked for.
  public var logProbability: Float = 0
  /// Whole UTF-8 characters; empty while a character or a stop string is unfinished. Of an answer in parts the texts are
  /// those of the parts' events alone.
  public var text: [UInt8] = []
  /// What `text` is; nil but in the events of parts.
  public var part: AnswerPart?
  /// The call that the part belongs to.
  public var toolCall = ToolCall()
  /// The most probable tokens, best first; as many as were asked for.
  public var alternatives: [Alternative] = []
  /// Nil before the end.
  public var finishReason: FinishReason?
  /// So far; final at the end.
  public var counts: Counts
  /// At the end: the shares of the letters that are of the expected scripts, in the content and in the reasoning; NaN
  /// where there are none, or nothing is expected.
  public var consistency: (content: Float, reasoning: Float) = (.nan, .nan)

  /// A call of a tool.
  public struct ToolCall: Sendable, Equatable {
    /// Its place among the answer's calls, from 0.
    public var index = 0
    /// The model's own, or one that this library made; empty outside of calls.
    public var id = ""
    /// The function's; empty outside of calls.
    public var name = ""
  }

  /// Numbers of tokens, and seconds, so far.
  public struct Counts: Sendable {
    /// Tokens of the prompt, positions of media among them.
    public var promptTokens = 0
    /// Of these, those that are evaluated by now.
    public var promptDone = 0
    /// Of these, those that the session held before the call.
    public var promptReused = 0
    /// Of these, those that other sessions had computed.
    public var promptShared = 0
    /// Tokens of the answer, an end token included.
    public var generatedTokens = 0
    /// Of the prompt's tokens, those that stand for media.
    public var mediaTokens = MediaCounts()
    /// Tokens that a speech model has written for this call.
    public var transcribedTokens = 0
    /// Seconds of the audio whose transcripts stand in the prompt.
    public var transcribedSeconds = 0.0
    /// Seconds of evaluating the prompt, from when the session was let in.
    public var promptSeconds = 0.0
    /// Seconds of the answer, from the end of the prompt.
    public var generationSeconds = 0.0
    /// Seconds from the call until the session was let in.
    public var waitingSeconds = 0.0

    /// All 0.
    public init() {}
  }
}

/// Gets each event; a non-zero return stops the work, and `Session.generate` returns that value.
public typealias EventHandler = (GenerationEvent) -> Int32

/// Positions that media take, by modality.
public struct MediaCounts: Sendable, Equatable {
  /// Positions of images,
  public var image = 0
  /// of videos,
  public var video = 0
  /// and of audio.
  public var audio = 0

  /// All 0.
  public init() {}
}
