import DormouseKernels
public import DormouseMedia
import DormouseSpeech
public import DormouseSupport

/// A Whisper model by itself: writes down what is said in audio.
///
/// Every call but `cancel` is exclusive: a second one from another thread is refused with `Failure(.busy)`.
public final class Transcriber: Sendable {
  private let model: SpeechModel
  private let state = CallState(of: "the transcriber")

  /// Opens the `whisper` folder at `path`.
  /// - Parameter options: threads, residency, memory limit and progress.
  /// - Throws: a `Failure` that names the file, field or tensor at fault; nothing stays behind.
  public init(path: String, options: EngineOptions) throws(Failure) {
    guard !options.withoutWeights else {
      throw Failure(.invalidArgument, "a transcriber without weights has nothing to write with")
    }
    guard options.precision == .native else {
      throw Failure(
        .unsupported,
        "\(path): weights in \(options.precision.rawValue); a transcriber takes them as the files hold them")
    }
    let kernels = try Kernels.selected()
    let pool = try Engine.makePool(threadCount: options.threadCount, pinsThreads: options.pinsThreads)
    model = try SpeechModel(
      try WhisperFolder(try ModelPath.folder(of: path), log: options.log), residency: options.residency, pool: pool,
      kernels: kernels,
      budget: MemoryBudget(limit: options.memoryLimit, name: "memory_limit"), progress: options.progress)
  }

  /// Writes down audio.
  /// - Parameters:
  ///   - configuration: the JSON that `dormouse_transcriber_run` describes, or nil.
  ///   - onSegment: gets each segment as soon as its window is written; a non-zero return stops the work.
  /// - Returns: 0, or the value with which `onSegment` stopped the work.
  /// - Throws: `Failure(.cancelled)` or `.timedOut`, and what is wrong with the audio or the options.
  public func run(
    _ item: MediaItem, configuration: String?, onSegment: (TranscriptSegment) -> Int32
  ) throws(Failure) -> Int32 {
    guard case .audio(let audio) = item else {
      throw Failure(.invalidArgument, "attachment is of type \(item.modality.rawValue); expected audio")
    }
    let options = if let configuration { try WhisperOptions(json: configuration) } else { WhisperOptions() }
    let timeLimit = options.timeLimit ?? .infinity
    let watch = state.watch(deadline: Clock.now() + timeLimit, timeLimit: timeLimit)
    return try state.exclusively { () throws(Failure) in
      let stop = Locked<Int32>(0)
      var terms = MediaTerms()
      terms.interruption = Interruption {
        let answer = stop.withLock { $0 }
        return answer == 0 ? watch.failure : Failure(.cancelled, "on_segment returned \(answer)")
      }
      do throws(Failure) {
        _ = try model.transcribe(audio, options: options, terms) { segment in
          // The rest of a window comes at once.
          guard stop.withLock({ $0 }) == 0 else { return }
          let answer = state.callback.run { onSegment(segment) }
          stop.withLock { $0 = answer }
        }
      } catch {
        guard error.status == .cancelled, stop.withLock({ $0 }) != 0 else { throw error }
      }
      return stop.withLock { $0 }
    }
  }

  /// Stops the call under way within one layer's time. Any thread.
  public func cancel() { state.cancel() }
}
