import DormouseAudio
import DormouseSupport

/// Audio Flamingo 3 (`AudioFlamingo3Config` of transformers 5.23): the mean of two neighbouring positions is a row, and what
/// is behind the audio's end is not attended to. Its processor cuts longer audio off, and says so where nobody may look.
struct AudioFlamingo3: WhisperTowerFamily {
  let hasProcessorFile = true
  let maximumSeconds: Int? = 600
  let audioToken = "<sound>"

  func projection(
    _ fields: JSONFields, _ audio: JSONFields, _ encoder: AudioEncoderConfiguration
  ) throws(Failure) -> WhisperTowerConfiguration.Projection {
    let hasBias = try fields.optionalBoolean("projector_bias") ?? true
    return .init(positionsPerRow: 2, averages: true, hasBias: hasBias, hearsSilence: false)
  }
}
