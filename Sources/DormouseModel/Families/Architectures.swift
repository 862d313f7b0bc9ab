import DormouseSupport

extension ModelConfiguration {
  /// The `model_type`s that Dormouse computes; all are multi-head latent attention with fine-grained experts.
  public enum Architecture: String, Sendable, CaseIterable {
    case deepseekV2 = "deepseek_v2"
    /// DeepSeek-V3, R1, V3.1, Moonlight, GigaChat3 and others.
    case deepseekV3 = "deepseek_v3"
    case kimiK2 = "kimi_k2"
    case glm4MoELite = "glm4_moe_lite"
    /// The text model of dots3-note: layers with an indexer, and with a sliding window.
    case dots3Note = "dots3_note_text"

    var family: any Family {
      switch self {
      case .deepseekV2: DeepSeekV2()
      case .deepseekV3, .kimiK2: DeepSeekV3()
      case .glm4MoELite: GLM4MoELite()
      case .dots3Note: Dots3Note()
      }
    }
  }

  /// The `model_type`s of models that take images, video or audio; their text model is one of `Architecture`, and its
  /// fields are in `text_config`; those of dots3_note may also stand beside the others.
  public enum Composite: String, Sendable, CaseIterable {
    /// Kimi-K2.5.
    case kimiK25 = "kimi_k25"
    /// Kimi-VL.
    case kimiVL = "kimi_vl"
    case voxtral
    case audioFlamingo3 = "audioflamingo3"
    case dots3Note = "dots3_note"

    /// The text model that the class takes where `text_config` names no type.
    fileprivate var defaultArchitecture: Architecture? {
      switch self {
      case .kimiK25: .deepseekV3
      case .dots3Note: .dots3Note
      case .kimiVL, .voxtral, .audioFlamingo3: nil
      }
    }

    /// Whether the model is published with the text model's fields beside the towers' objects.
    fileprivate var hasFieldsBeside: Bool { self == .dots3Note }

    /// What the class takes where the document has no `tie_word_embeddings`.
    var tiesWordEmbeddings: Bool { self == .kimiK25 }
  }
}

/// Which text model a document describes, and where.
struct TextModelFields {
  let fields: JSONFields
  let architecture: ModelConfiguration.Architecture
  /// What the text model is part of; nil for a model of its own.
  let composite: ModelConfiguration.Composite?

  /// - Throws: `Failure(.unsupported)` for another `model_type`, `.malformed` where there is none, or no `text_config`.
  init(_ document: JSONFields) throws(Failure) {
    composite = try document.optionalString("model_type").flatMap { ModelConfiguration.Composite(rawValue: $0) }
    guard let composite else {
      fields = document
      architecture = try Self.architecture(document, named: document.string("model_type"), composite)
      return
    }
    if let own = try document.fields("text_config") {
      let named = try own.optionalString("model_type") ?? composite.defaultArchitecture?.rawValue
      let name = if let named { named } else { try own.string("model_type") }
      fields = own
      architecture = try Self.architecture(own, named: name, composite)
    } else {
      guard composite.hasFieldsBeside, let own = composite.defaultArchitecture else {
        throw Failure(.malformed, "\(document.file): text_config is missing; expected the text model's fields")
      }
      fields = document
      architecture = own
    }
  }

  private static func architecture(
    _ fields: JSONFields, named name: String, _ composite: ModelConfiguration.Composite?
  ) throws(Failure) -> ModelConfiguration.Architecture {
    if let architecture = ModelConfiguration.Architecture(rawValue: name) { return architecture }
    if composite == nil, name == transcriberType {
      throw Failure(
        .unsupported,
        "\(fields.file): model_type is \"\(name)\", a model that transcribes audio and has no chat; open it as a "
          + "transcriber (dormouse_transcriber_open, dormouse.Transcriber, the command 'dormouse transcribe')")
    }
    let composites = composite == nil ? ModelConfiguration.Composite.allCases.map(\.rawValue) : []
    let known = ModelConfiguration.Architecture.allCases.map(\.rawValue) + composites
    throw fields.unsupported("model_type", .string(name), supported: known.joined(separator: ", "))
  }

  /// A model of another kind, which has a place of its own in the library.
  private static let transcriberType = "whisper"
}
