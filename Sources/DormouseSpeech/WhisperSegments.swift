import DormouseAudio

/// Where a window's tokens are cut into segments, and where the next window begins (`_retrieve_segment` of
/// transformers 5.23; there times may lie outside of the audio, here they are cut to it).
struct WhisperSegments: Equatable {
  struct Segment: Equatable {
    /// Seconds from the audio's beginning.
    var start: Double
    var end: Double
    /// Of the window's tokens.
    var tokens: Range<Int>
  }

  private(set) var segments: [Segment] = []
  /// Frames from this window to the next.
  private(set) var frameCount: Int

  /// Seconds between two timestamps, and between two frames.
  private static let timePrecision = 0.02
  static let framePrecision = 0.01

  /// - Parameters:
  ///   - tokens: what was written, without the end.
  ///   - timestampBegin: the first timestamp.
  ///   - frames: the audio's frames that the window holds, from `firstFrame` on.
  ///   - audioLength: seconds of the audio. The model hears the silence behind it too, and may put times there.
  init(_ tokens: [Int32], timestampBegin: Int32, firstFrame: Int, frames: Int, audioLength: Double) {
    frameCount = frames
    let offset = Double(firstFrame) * Self.framePrecision
    let isTime = tokens.map { $0 >= timestampBegin }
    // A model that was told to write no times may all the same: what comes before the first begins with the window.
    func seconds(_ index: Int) -> Double {
      isTime[index] ? offset + Double(tokens[index] - timestampBegin) * Self.timePrecision : offset
    }
    func segment(_ start: Double, _ end: Double, _ tokens: Range<Int>) -> Segment {
      let start = min(max(start, 0), audioLength)
      return Segment(start: start, end: min(max(end, start), audioLength), tokens: tokens)
    }
    // Two timestamps in a row: one segment ends, another begins.
    var cuts = isTime.indices.dropFirst().filter { isTime[$0] && isTime[$0 - 1] }
    guard let last = cuts.last else {
      segments = [segment(offset, offset + Self.length(tokens, timestampBegin, frames), tokens.indices)]
      return
    }
    // A single timestamp at the end: nothing was said behind it. Otherwise what is behind the last pair was cut off by
    // the window's end, and is left to the next one; the segment before keeps both timestamps.
    let isWhole = isTime.suffix(2) == [false, true]
    if isWhole { cuts.append(tokens.count) } else { cuts[cuts.count - 1] = last + 1 }
    var start = 0
    for (index, end) in cuts.enumerated() {
      let hasPair = index == cuts.count - 1 && !isWhole
      segments.append(segment(seconds(start), seconds(end - (hasPair ? 2 : 1)), start..<end))
      start = end
    }
    if !isWhole {
      frameCount = Int(tokens[last - 1] - timestampBegin) * AudioEncoderConfiguration.framesPerPosition
    }
  }

  /// Seconds of a window that is one segment: up to its last timestamp, or as long as it is.
  private static func length(_ tokens: [Int32], _ timestampBegin: Int32, _ frames: Int) -> Double {
    if let time = tokens.last(where: { $0 >= timestampBegin }), time != timestampBegin {
      return Double(time - timestampBegin) * timePrecision
    }
    // In float32 and rounded down, as the reference counts.
    return Double(Int(Float(frames) * Float(framePrecision) / Float(timePrecision))) * timePrecision
  }
}
