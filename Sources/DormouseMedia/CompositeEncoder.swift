import DormouseSupport

/// The towers of a model that has several, each of which answers for its modalities.
struct CompositeEncoder: MediaEncoder {
  private let encoders: [Modality: any MediaEncoder]

  /// - Parameter towers: each with the modalities that it answers for.
  init(_ towers: [(modalities: [Modality], encoder: any MediaEncoder)]) {
    encoders = towers.reduce(into: [:]) { encoders, tower in
      for modality in tower.modalities { encoders[modality] = tower.encoder }
    }
  }

  func placeholder(of modality: Modality) -> String? { encoders[modality]?.placeholder(of: modality) }

  func paddingTokens(of modality: Modality) -> [String] { encoders[modality]?.paddingTokens(of: modality) ?? [] }

  func prepare(_ item: MediaItem, _ terms: MediaTerms) throws(Failure) -> any PreparedMedia {
    try encoder(item.modality).prepare(item, terms)
  }

  func begin(
    _ prepared: any PreparedMedia, into rows: UnsafeMutableBufferPointer<Float>, _ interruption: Interruption
  ) throws(Failure) -> any EncodingRun {
    try encoder(prepared.modality).begin(prepared, into: rows, interruption)
  }

  private func encoder(_ modality: Modality) throws(Failure) -> any MediaEncoder {
    guard let encoder = encoders[modality] else {
      throw Failure(.unsupported, "this model takes no parts of type \(modality.rawValue)")
    }
    return encoder
  }
}
