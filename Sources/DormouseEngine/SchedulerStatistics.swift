import DormouseModel

/// What an engine's scheduler has done since it was opened.
struct SchedulerStatistics: Sendable {
  /// Sessions that wait to be let in, and sessions that are at work, now.
  var waiting = 0
  var working = 0
  /// Calls that were let in, and have left; that were turned away since too many waited; that were cancelled, or failed
  /// otherwise, before they were let in.
  var entered = 0
  var left = 0
  var refused = 0
  var cancelled = 0
  var failed = 0
  /// Steps, and sessions in all of them together: their quotient is the mean batch.
  var steps = 0
  var sessionSteps = 0
  var largestBatch = 0
  /// Tokens of prompts, and tokens of generating sessions, that were computed.
  var promptTokens = 0
  var generatedTokens = 0
  /// Seconds of steps with prompts only, encodings of their media among them, with both, and with generating sessions
  /// only.
  var promptSeconds = 0.0
  var mixedSeconds = 0.0
  var generationSeconds = 0.0
  /// Seconds that calls waited to be let in, together.
  var waitingSeconds = 0.0

  /// Counts a step.
  /// - Parameters:
  ///   - segments: what was computed of each of the batch.
  ///   - isEncoding: whether the step did a part of an encoding, too, for one session more.
  mutating func count(
    _ batch: ContiguousArray<StepRequest>, _ segments: ContiguousArray<Segment>, isEncoding: Bool, seconds: Double
  ) {
    var (prompt, generated) = (0, 0)
    for (request, segment) in zip(batch, segments) {
      if request.isGenerating { generated += segment.tokens.count } else { prompt += segment.tokens.count }
    }
    steps += 1
    let sessions = batch.count + (isEncoding ? 1 : 0)
    sessionSteps += sessions
    largestBatch = max(largestBatch, sessions)
    promptTokens += prompt
    generatedTokens += generated
    if generated == 0 {
      promptSeconds += seconds
    } else if prompt == 0, !isEncoding {
      generationSeconds += seconds
    } else {
      mixedSeconds += seconds
    }
  }
}
