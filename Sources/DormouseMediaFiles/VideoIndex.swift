import CFFmpeg
import DormouseSupport

/// When the frames of a video are shown and where decoding may begin, from one pass over its packets; nothing is
/// decoded.
struct VideoIndex {
  /// Timestamps of the frames that are shown, ascending, in the track's units.
  private(set) var shown: [Int64] = []
  /// Packets from which decoding may begin, in the file's order.
  private(set) var keyFrames: [KeyFrame] = []
  /// The end of the last frame.
  private(set) var end: Int64 = 0
  /// How many frames, at most, come before one in the file that is shown before them.
  private(set) var reordering = 0
  /// Whether the file tells when each frame is shown. Old AVI tells only in which order they are decoded, at an even
  /// pace: frames are then told apart by counting them.
  private(set) var hasTimestamps = true
  /// Seconds of audio of the other selected track, as its times and as the lengths of its packets tell; 0: unknown.
  private var audio = (start: Double?.none, end: 0.0, sum: 0.0)
  private(set) var audioPacketCount = 0

  struct KeyFrame {
    /// The packet's number among those of the track.
    var packet: Int
    /// When it is shown, and what to seek for.
    var timestamp: Int64
    var seekTimestamp: Int64
  }

  /// Frames that a decoder of any format holds back.
  private static let largestReordering = 16

  private var packetCount = 0
  private var recent: [Int64] = []

  /// Reads the packets of `video` and `audio`, to which the demuxer is left narrowed down.
  init(_ demuxer: Demuxer, video: Track?, audio: Track?, watch: MediaWatch) throws(Failure) {
    demuxer.select([video?.index, audio?.index].compactMap { $0 })
    let packet = try Packet(watch: watch)
    while try demuxer.read(packet) {
      let data = packet.pointer.pointee
      if let video, data.stream_index == video.index { try add(packet, video.codec, watch) }
      if let audio, data.stream_index == audio.index { try addAudio(packet, audio, watch) }
    }
    sort()
  }

  private mutating func add(_ packet: Packet, _ codec: AVCodecID, _ watch: MediaWatch) throws(Failure) {
    let timestamp = packet.timestamp
    let data = packet.pointer.pointee
    // Of the frame in which a file was cut off nothing is shown.
    guard data.flags & AV_PKT_FLAG_CORRUPT == 0 || shown.isEmpty else { return }
    guard timestamp != ffmpeg_no_timestamp else {
      throw watch.failure(.unsupported, "frame \(packetCount) of the video has no timestamp")
    }
    if data.flags & AV_PKT_FLAG_KEY != 0 {
      let decoded = data.dts != ffmpeg_no_timestamp ? min(data.dts, timestamp) : timestamp
      keyFrames.append(KeyFrame(packet: packetCount, timestamp: timestamp, seekTimestamp: decoded))
    }
    packetCount += 1
    try watch.checkFrameCount(packetCount)
    guard data.flags & AV_PKT_FLAG_DISCARD == 0, !VideoIndex.isHidden(data, codec) else { return }
    if data.pts != ffmpeg_no_timestamp { countReordering(data.pts) } else { hasTimestamps = false }
    shown.append(timestamp)
    let (frameEnd, overflow) = timestamp.addingReportingOverflow(max(data.duration, 0))
    end = max(end, overflow ? timestamp : frameEnd)
  }

  /// VP8 has frames that are never shown, which packets of their own hold (RFC 6386, 9.1: show_frame).
  private static func isHidden(_ data: AVPacket, _ codec: AVCodecID) -> Bool {
    guard codec == AV_CODEC_ID_VP8, data.size > 0, let bytes = data.data else { return false }
    return bytes[0] & 0x10 == 0
  }

  private mutating func countReordering(_ timestamp: Int64) {
    reordering = max(reordering, recent.lazy.filter { $0 > timestamp }.count)
    recent.append(timestamp)
    if recent.count > VideoIndex.largestReordering { recent.removeFirst() }
  }

  private mutating func addAudio(_ packet: Packet, _ track: Track, _ watch: MediaWatch) throws(Failure) {
    let data = packet.pointer.pointee
    audioPacketCount += 1
    guard packet.timestamp != ffmpeg_no_timestamp else { return }
    let (start, length) = (track.seconds(packet.timestamp), track.seconds(max(data.duration, 0)))
    audio = (audio.start ?? start, max(audio.end, start + length), audio.sum + length)
    try watch.checkDuration(audioSeconds)
  }

  /// How long the audio lasts, at least, from its own beginning; 0: unknown. Gaps between packets have no samples.
  var audioSeconds: Double {
    let span = max(0, audio.end - max(0, audio.start ?? 0))
    return audio.sum > 0 ? min(span, audio.sum) : span
  }

  /// Ascending, each time once: of two frames at one time only the later is ever seen.
  private mutating func sort() {
    shown.sort()
    var unique = 0
    for index in shown.indices where index == 0 || shown[index] != shown[unique - 1] {
      shown[unique] = shown[index]
      unique += 1
    }
    shown.removeSubrange(unique...)
  }

  /// The frame that is seen at `timestamp`; nil before the first.
  func frame(at timestamp: Int64) -> Int? {
    let after = shown.partitionIndex { $0 > timestamp }
    return after == 0 ? nil : after - 1
  }

  /// The last key frame, in the file's order, that is shown at or before `timestamp`.
  func keyFrame(before timestamp: Int64) -> KeyFrame? { keyFrames.last { $0.timestamp <= timestamp } }
}

extension Array {
  /// The first index whose element `isBehind`, in an array where all those come last; the count where there is none.
  func partitionIndex(_ isBehind: (Element) -> Bool) -> Int {
    var (low, high) = (0, count)
    while low < high {
      let middle = low + (high - low) / 2
      if isBehind(self[middle]) { high = middle } else { low = middle + 1 }
    }
    return low
  }
}
