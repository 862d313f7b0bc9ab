import DormouseAudio
import DormouseKernels
import DormouseMedia
import DormouseSpeech
import DormouseSupport
import DormouseWeights

/// A Whisper model that transcribes the audio of chats. It keeps its latest transcripts, so that the audio of a growing
/// chat is transcribed once. Thread: any; each transcription works in memory of its own.
final class SpeechModel: Sendable {
  private let whisper: Whisper
  private let folder: String
  private let budget: MemoryBudget
  /// The weights, and what the pool's threads keep.
  private let reservation: MemoryBudget.Reservation
  /// Bytes of the weights and of one transcription.
  let byteCount: UInt64
  /// Of one transcription.
  private let workingByteCount: UInt64
  private let known = Locked(RecentlyUsed<Transcript>(byteLimit: 4 << 20))

  /// Loads a `whisper` folder that was checked.
  /// - Throws: a `Failure` that names the folder, and the file, field or tensor at fault; `.outOfMemory` when the
  ///   weights and one transcription do not fit into the budget.
  init(
    _ checked: WhisperFolder, residency: Checkpoint.Residency, pool: ThreadPool, kernels: Kernels,
    budget: MemoryBudget, progress: Progress?
  ) throws(Failure) {
    let plan = try checked.plan(threadCount: pool.threadCount, kernels: kernels)
    let working = UInt64(clamping: plan.cacheByteCount + plan.scratchByteCount)
    let weights = UInt64(clamping: plan.totalByteCount) - working
    folder = checked.path
    self.budget = budget
    workingByteCount = working
    byteCount = UInt64(clamping: plan.totalByteCount)
    reservation = try budget.reserve(weights, for: "\(folder): a speech model's weights")
    _ = try budget.reserve(working, for: "\(folder): a transcription's working memory")
    whisper = try Whisper(
      checked, residency: residency, pool: pool, kernels: kernels, progress: progress)
  }

  /// What is said in audio.
  /// - Parameter terms: on which the audio is decoded; its samples count in the model's own budget.
  /// - Throws: what interrupts it, `.outOfMemory`, and what decoding and `Whisper.transcribe` say.
  func transcribe(
    _ audio: any Audio, options: WhisperOptions, _ terms: MediaTerms, onSegment: (TranscriptSegment) -> Void
  ) throws(Failure) -> Transcript {
    let working = try budget.reserve(workingByteCount, for: "\(folder): a transcription's working memory")
    return try withExtendedLifetime(working) { () throws(Failure) in
      var terms = terms
      terms.budget = budget
      let samples = try audio.samples(
        rate: LogMelConfiguration.samplingRate, kernels: whisper.kernels, limit: nil, terms)
      return try withExtendedLifetime(samples) { () throws(Failure) in
        try samples.values.withUnsafeBufferPointer { (samples) throws(Failure) in
          try whisper.transcribe(samples, options: options, interruption: terms.interruption, onSegment: onSegment)
        }
      }
    }
  }

  /// The same for a part of a chat, by Whisper's own standards.
  /// - Returns: the transcript, and whether it had to be written.
  func transcript(of audio: any Audio, _ terms: MediaTerms) throws(Failure) -> (Transcript, isNew: Bool) {
    let hash = try audio.contentHash(terms.interruption)
    if let transcript = known.withLock({ $0.value(hash) }) { return (transcript, false) }
    let transcript = try transcribe(audio, options: WhisperOptions(), terms) { _ in }
    let byteCount = transcript.segments.reduce(0) { $0 + $1.text.utf8.count + 4 * $1.tokens.count + 256 }
    known.withLock { $0.insert(transcript, hash, byteCount: UInt64(clamping: byteCount)) }
    return (transcript, true)
  }
}
