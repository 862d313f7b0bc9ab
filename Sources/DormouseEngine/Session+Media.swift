import DormouseMedia
import DormouseSupport

/// Images, videos and audio of a session.
extension Session {
  /// Has the towers encode what evaluating needs: contents whose positions are not in the cache, and whose rows no
  /// other session has had made. Inside `atWork`.
  /// - Parameter onPortion: called after each image, chunk of a video and window of audio; what it throws ends the
  ///   work.
  func encodeMedia(onPortion: () throws(Failure) -> Void) throws(Failure) {
    guard let last = timeline.spans.last, last.positions.upperBound > cache.length else { return }
    for span in timeline.spans where span.positions.upperBound > cache.length {
      guard let content = span.content else {
        throw Failure(
          .unsupported,
          "positions \(span.positions.lowerBound) to \(span.positions.upperBound - 1) of the restored session are"
            + " images or audio, which a saved session does not hold: they can't be evaluated again")
      }
      try encode(content, onPortion)
    }
    changeContents { $0.collectRows() }
  }

  private func encode(_ content: MediaContent, _ onPortion: () throws(Failure) -> Void) throws(Failure) {
    guard let prepared = content.prepared else { return }
    let media = try engine.requireMedia(for: content.modality)
    let rows = try media.makeRows(count: content.count, of: content.modality)
    let scratch = try media.reserveScratch(for: prepared)
    defer { withExtendedLifetime(scratch) {} }
    let run = try media.encoder.begin(
      prepared, into: rows.memory.bound(to: Float.self),
      state.watch(deadline: request.deadline, timeLimit: request.timeLimit))
    try scheduler.encode(request, run, onPortion: onPortion)
    content.complete(rows)
  }
}
