import DormouseAudio
import DormouseSupport

/// Voxtral (`VoxtralConfig` of transformers 5.23): neighbouring positions side by side make a row, and the silence behind the
/// audio's end is heard. Its processor takes the token from mistral_common.
struct Voxtral: WhisperTowerFamily {
  let hasProcessorFile = false
  let maximumSeconds: Int? = nil
  let audioToken = "[AUDIO]"

  /// Rows are as wide as the encoder's feed-forward layers: so many positions make one.
  func projection(
    _ fields: JSONFields, _ audio: JSONFields, _ encoder: AudioEncoderConfiguration
  ) throws(Failure) -> WhisperTowerConfiguration.Projection {
    let count = encoder.intermediateSize / encoder.hiddenSize
    guard count >= 1, encoder.intermediateSize % encoder.hiddenSize == 0, encoder.sourcePositions % count == 0 else {
      throw audio.wrong(
        "intermediate_size", .integer(Int64(encoder.intermediateSize)),
        expected: "a multiple of hidden_size, \(encoder.hiddenSize), that divides the"
          + " \(encoder.sourcePositions) positions evenly")
    }
    return .init(positionsPerRow: count, averages: false, hasBias: false, hearsSilence: true)
  }
}
