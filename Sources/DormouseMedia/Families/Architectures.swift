import DormouseAudio
import DormouseLayers
import DormouseSupport
import DormouseWeights

extension VisionConfiguration {
  /// The `model_type`s of models that see.
  public enum Architecture: String, Sendable, CaseIterable {
    /// Kimi K2.5 and later with the same tower.
    case kimiK25 = "kimi_k25"
    case kimiVL = "kimi_vl"
    case dots3Note = "dots3_note"

    var family: any VisionFamily {
      switch self {
      case .kimiK25: MoonViT(architecture: self, seesVideo: true)
      case .kimiVL: MoonViT(architecture: self, seesVideo: false)
      case .dots3Note: Dots3NoteVision()
      }
    }
  }
}

extension WhisperTowerConfiguration {
  /// The `model_type`s of models that hear with Whisper's encoder.
  enum Architecture: String, Sendable, CaseIterable {
    case voxtral
    case audioFlamingo3 = "audioflamingo3"

    var family: any WhisperTowerFamily {
      switch self {
      case .voxtral: Voxtral()
      case .audioFlamingo3: AudioFlamingo3()
      }
    }

    /// audio_config.model_type, which tells the kind of tower where the whole is a model of another type.
    private var encoderType: String { "\(rawValue)_encoder" }

    /// The model's type; nil for one that sees, whose audio_config tells.
    /// - Throws: `Failure(.unsupported)` for any other.
    static func own(_ fields: JSONFields) throws(Failure) -> Architecture? {
      let type = try fields.string("model_type")
      if let own = Architecture(rawValue: type) { return own }
      guard VisionConfiguration.Architecture(rawValue: type) == nil else { return nil }
      let known = allCases.map(\.rawValue).joined(separator: ", ")
      throw fields.unsupported("model_type", .string(type), supported: known)
    }

    /// - Parameter audio: a model's `audio_config`.
    static func ofEncoder(_ audio: JSONFields) throws(Failure) -> Architecture {
      let type = try audio.string("model_type")
      guard let found = allCases.first(where: { $0.encoderType == type }) else {
        let known = allCases.map(\.encoderType).joined(separator: ", ")
        throw audio.unsupported("model_type", .string(type), supported: known)
      }
      return found
    }
  }
}

/// What vision towers of one family have of their own: how `config.json` tells of them, what their tensors and tokens are
/// called, and how their processors' files look.
protocol VisionFamily: Sendable {
  /// The kinds of towers that a model of this `config.json` has.
  func towers(_ fields: JSONFields) -> [any TowerConfiguration.Type]

  /// - Parameters:
  ///   - fields: `config.json`.
  ///   - vision: its `vision_config`.
  /// - Returns: nil for the text model alone.
  func configuration(_ fields: JSONFields, _ vision: JSONFields?) throws(Failure) -> VisionConfiguration?

  func tensors(_ c: VisionConfiguration, in checkpoint: Checkpoint) -> TensorGroup<VisionWeights>

  func processors(folder: String, _ c: VisionConfiguration) throws(Failure) -> VisionProcessors
}

/// What audio towers of one family, Whisper's encoder and a projector, have of their own.
protocol WhisperTowerFamily: Sendable {
  /// - Parameters:
  ///   - fields: `config.json`.
  ///   - audio: its `audio_config`.
  func projection(
    _ fields: JSONFields, _ audio: JSONFields, _ encoder: AudioEncoderConfiguration
  ) throws(Failure) -> WhisperTowerConfiguration.Projection

  /// Whether a `processor_config.json` says the next two; their values are those of files that don't.
  var hasProcessorFile: Bool { get }
  /// Seconds of audio at most; nil: any number.
  var maximumSeconds: Int? { get }
  var audioToken: String { get }
}

enum MediaFamilies {
  /// The kinds of towers that a model of this `config.json` has; none for a text model.
  static func towers(_ fields: JSONFields) throws(Failure) -> [any TowerConfiguration.Type] {
    guard let type = try fields.optionalString("model_type") else { return [] }
    if WhisperTowerConfiguration.Architecture(rawValue: type) != nil { return [WhisperTowerConfiguration.self] }
    return VisionConfiguration.Architecture(rawValue: type)?.family.towers(fields) ?? []
  }
}
