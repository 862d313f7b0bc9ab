import CFFmpeg
import DormouseSupport

/// A track of a file: where FFmpeg has it, and what its numbers mean.
struct Track {
  /// Whose the stream is.
  private let demuxer: Demuxer
  let stream: UnsafeMutablePointer<AVStream>

  init(_ demuxer: Demuxer, _ stream: UnsafeMutablePointer<AVStream>) {
    self.demuxer = demuxer
    self.stream = stream
  }

  var index: Int32 { stream.pointee.index }
  var parameters: UnsafeMutablePointer<AVCodecParameters> { stream.pointee.codecpar }
  var codec: AVCodecID { parameters.pointee.codec_id }

  /// Seconds of one unit of the track's timestamps.
  var secondsPerUnit: Double {
    let base = stream.pointee.time_base
    return base.den > 0 && base.num > 0 ? Double(base.num) / Double(base.den) : 0
  }

  func seconds(_ units: Int64) -> Double { Double(units) * secondsPerUnit }

  private func has(_ disposition: Int32) -> Bool { stream.pointee.disposition & disposition != 0 }

  /// The video's images: of the tracks that can be decoded the one marked as default, then the largest. A cover of a
  /// audio file is none.
  static func video(of demuxer: Demuxer) -> Track? {
    best(demuxer, AVMEDIA_TYPE_VIDEO, MediaCodecs.isImage) { track in
      Int(track.parameters.pointee.width) * Int(track.parameters.pointee.height)
    }
  }

  /// The audio: the track marked as default, then the one with the most channels.
  static func audio(of demuxer: Demuxer) -> Track? {
    best(demuxer, AVMEDIA_TYPE_AUDIO, MediaCodecs.isAudio) { Int($0.parameters.pointee.ch_layout.nb_channels) }
  }

  /// The first of the best.
  private static func best(
    _ demuxer: Demuxer, _ type: AVMediaType, _ isKnown: (AVCodecID) -> Bool, size: (Track) -> Int
  ) -> Track? {
    var best: (track: Track, isDefault: Bool, size: Int)?
    for track in demuxer.streams.map({ Track(demuxer, $0) }) {
      guard track.parameters.pointee.codec_type == type, isKnown(track.codec),
        !track.has(AV_DISPOSITION_ATTACHED_PIC), avcodec_find_decoder(track.codec) != nil
      else { continue }
      let isDefault = track.has(AV_DISPOSITION_DEFAULT)
      if let best, (best.isDefault ? 1 : 0, best.size) >= (isDefault ? 1 : 0, size(track)) { continue }
      best = (track, isDefault, size(track))
    }
    return best?.track
  }
}
