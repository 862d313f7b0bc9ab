import DormouseAudio
import DormouseSupport

/// The audio's features, window by window, as transformers makes them: audio of a window at most is filled up with
/// silence, longer audio is not, and the greatest energy is that of the whole audio. Two passes over the samples keep
/// one window's features in memory, however long it is.
struct WhisperAudio {
  /// Frames that are transcribed.
  let frameCount: Int
  let seconds: Double
  private let signal: PaddedSignal
  private let spectrogram: LogMelSpectrogram
  private let pool: ThreadPool
  private let windowFrameCount: Int
  private let maximum: Float

  /// - Throws: `Failure(.invalidArgument)` for no samples, or one that is not finite, and what interrupts it.
  init(
    _ samples: UnsafeBufferPointer<Float>, _ model: Whisper, _ interruption: Interruption
  ) throws(Failure) {
    guard !samples.isEmpty else { throw Failure(.invalidArgument, "audio without samples") }
    try Waveform.requireFinite(samples)
    spectrogram = model.spectrogram
    pool = model.pool
    windowFrameCount = model.configuration.encoder.windowFrameCount
    let c = spectrogram.configuration
    signal = PaddedSignal(samples, paddedTo: c.chunkSampleCount)
    frameCount = c.frameCount(sampleCount: signal.count)
    seconds = Double(samples.count) / Double(LogMelConfiguration.samplingRate)
    maximum = try spectrogram.maximum(of: signal, pool: pool, interruption)
  }

  /// The features of the window from `frame` on: [window frames, mel bins], zero behind the audio's end.
  func features(from frame: Int, into rows: UnsafeMutableBufferPointer<Float>) throws(Failure) {
    let frames = frame..<min(frame + windowFrameCount, frameCount)
    let written = frames.count * spectrogram.configuration.featureSize
    try spectrogram.energies(of: signal, frames: frames, pool: pool, into: rows)
    LogMelSpectrogram.normalize(UnsafeMutableBufferPointer(rebasing: rows[..<written]), maximum: maximum)
    rows[written...].update(repeating: 0)
  }
}
