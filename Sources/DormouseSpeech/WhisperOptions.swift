import DormouseSupport

/// How audio is transcribed; names and meanings are those of `WhisperGenerationMixin.generate` of transformers 5.23.
public struct WhisperOptions: Sendable {
  public enum Task: String, Sendable, CaseIterable {
    case transcribe
    /// Into English.
    case translate
  }

  /// A code such as "en"; nil to detect it. Models of one language take none.
  public var language: String?
  public var task: Task
  /// Whether the model writes when things were said. Audio longer than a window needs it.
  public var hasTimestamps: Bool
  /// Tried in turn as long as a window fails a threshold; 0 takes the most likely token each time.
  public var temperatures: [Float]
  /// A window with a higher compression ratio is tried again; nil: none is.
  public var compressionRatioThreshold: Double?
  /// A window with a lower mean log probability is tried again; nil: none is.
  public var logProbabilityThreshold: Double?
  /// A window that is likelier than this to hold no speech, and has a low mean log probability, is left out; nil: none.
  public var noSpeechThreshold: Double?
  /// Whether a window is told what was said in those before it.
  public var conditionsOnPrevious: Bool
  /// Of draws at temperatures above 0: the same seed gives the same transcript.
  public var seed: UInt64
  /// Seconds that a call may take; nil: any number. Whoever calls keeps them.
  public var timeLimit: Double?

  public init(
    language: String? = nil, task: Task = .transcribe, hasTimestamps: Bool = true,
    temperatures: [Float] = [0, 0.2, 0.4, 0.6, 0.8, 1], compressionRatioThreshold: Double? = 1.35,
    logProbabilityThreshold: Double? = -1, noSpeechThreshold: Double? = 0.6, conditionsOnPrevious: Bool = false,
    seed: UInt64 = 0
  ) {
    self.language = language
    self.task = task
    self.hasTimestamps = hasTimestamps
    self.temperatures = temperatures
    self.compressionRatioThreshold = compressionRatioThreshold
    self.logProbabilityThreshold = logProbabilityThreshold
    self.noSpeechThreshold = noSpeechThreshold
    self.conditionsOnPrevious = conditionsOnPrevious
    self.seed = seed
  }

  /// - Throws: `Failure(.invalidArgument)` naming the option.
  func check(_ generation: WhisperGenerationConfiguration) throws(Failure) {
    func refuse(_ what: String) -> Failure { Failure(.invalidArgument, what) }
    guard !temperatures.isEmpty, temperatures.count <= 64 else {
      throw refuse("\(temperatures.count) temperatures; expected 1 to 64")
    }
    for temperature in temperatures where !(0...100).contains(temperature) {
      throw refuse("a temperature of \(temperature); expected 0 to 100")
    }
    let thresholds = [compressionRatioThreshold, logProbabilityThreshold, noSpeechThreshold]
    for case let threshold? in thresholds where threshold.isNaN { throw refuse("a threshold that is no number") }
    if noSpeechThreshold != nil, logProbabilityThreshold == nil {
      throw refuse("a threshold for no speech needs one for the mean log probability as well")
    }
    if !generation.isMultilingual, language != nil || task == .translate {
      throw refuse("the model knows one language: neither a language nor a translation can be asked for")
    }
    if let language, !generation.languages.contains(where: { ExactString($0.code) == ExactString(language) }) {
      let known = generation.languages.map(\.code).joined(separator: ", ")
      throw refuse("language \(JSON.string(language).text()) is unknown to the model; it knows \(known)")
    }
  }
}
