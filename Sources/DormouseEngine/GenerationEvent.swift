/// What a generation reports while it runs; the header's `dormouse_event`.
public struct GenerationEvent: Sendable {
  public enum Kind: Int32, Sendable {
    case prompt = 1
    case token = 2
    case end = 3
  }

  public enum FinishReason: Int32, Sendable {
    case stop = 1
    case length = 2
    case context = 3
    case time = 4
  }

  public struct Alternative: Sendable {
    public var token: Int32
    public var logProbability: Float
  }

  public var kind: Kind
  public var token: Int32 = -1
  public var logProbability: Float = 0
  /// Whole UTF-8 characters.
  public var text: [UInt8] = []
  public var alternatives: [Alternative] = []
  public var finishReason: FinishReason?
  public var counts: Counts

  /// Numbers of tokens, and seconds, so far.
  public struct Counts: Sendable {
    public var promptTokens = 0
    public var promptDone = 0
    public var promptReused = 0
    public var promptShared = 0
    public var generatedTokens = 0
    /// Of the prompt's tokens, those that stand for media.
    public var mediaTokens = MediaCounts()
    /// Tokens that a speech model has written for this call.
    public var transcribedTokens = 0
    /// Seconds of the sounds whose transcripts stand in the prompt.
    public var transcribedSeconds = 0.0
    public var promptSeconds = 0.0
    public var generationSeconds = 0.0
    public var waitingSeconds = 0.0

    public init() {}
  }
}

/// Gets each event; a non-zero return stops the work, and `Session.generate` returns that value.
public typealias EventHandler = (GenerationEvent) -> Int32

/// Positions that media take, by modality.
public struct MediaCounts: Sendable, Equatable {
  public var image = 0
  public var video = 0
  public var audio = 0

  public init() {}
}
