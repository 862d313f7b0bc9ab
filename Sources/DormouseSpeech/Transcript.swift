/// A piece of a transcript: what was said from one second to another.
public struct TranscriptSegment: Sendable, Equatable {
  /// Seconds from the audio's beginning.
  public let start: Double
  public let end: Double
  public let text: String
  /// The code of the language that was given or detected; nil for a model of one language.
  public let language: String?
  /// As the model wrote them, timestamps among them.
  public let tokens: [Int32]
  /// Of the window that the segment was written for.
  public let measures: TranscriptMeasures
}

/// How sure a model was of a window, and how it was written.
public struct TranscriptMeasures: Sendable, Equatable {
  /// 0 for the most likely token each time.
  public let temperature: Float
  /// The mean logarithm of the tokens' probabilities, the end's among them.
  public let averageLogProbability: Double
  /// Bytes of the tokens over those they take when compressed: repetitions have a high one.
  public let compressionRatio: Double
  /// The probability of `<|nospeech|>` where the transcript begins.
  public let noSpeechProbability: Double
}

public struct Transcript: Sendable, Equatable {
  /// The code of the language that was given or detected; nil for a model of one language.
  public let language: String?
  public let segments: [TranscriptSegment]
  /// Tokens that the model wrote, also those of attempts that were dropped.
  public let tokenCount: Int
  /// Length of the audio.
  public let seconds: Double

  /// What was said.
  public var text: String { segments.map(\.text).joined() }
}
