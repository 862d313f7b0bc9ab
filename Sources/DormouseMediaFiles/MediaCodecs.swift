import CFFmpeg

/// What may be opened at all. FFmpeg knows hundreds of formats, and some of them open other files (playlists, lists of
/// parts); a file from anywhere gets no further than these.
enum MediaCodecs {
  /// Names of demuxers, as FFmpeg spells them, and what people call their formats.
  static let demuxers: [String: String] = [
    "mov,mp4,m4a,3gp,3g2,mj2": "MP4 or MOV", "matroska,webm": "Matroska or WebM", "avi": "AVI", "gif": "GIF",
    "apng": "animated PNG", "wav": "WAV", "w64": "Wave64", "mp3": "MP3", "flac": "FLAC", "ogg": "Ogg", "aac": "AAC",
  ]

  static func isImage(_ codec: AVCodecID) -> Bool {
    switch codec {
    case AV_CODEC_ID_H264, AV_CODEC_ID_HEVC, AV_CODEC_ID_AV1, AV_CODEC_ID_VP8, AV_CODEC_ID_VP9, AV_CODEC_ID_THEORA,
      AV_CODEC_ID_MPEG1VIDEO, AV_CODEC_ID_MPEG2VIDEO, AV_CODEC_ID_MPEG4, AV_CODEC_ID_MSMPEG4V2,
      AV_CODEC_ID_MSMPEG4V3, AV_CODEC_ID_H263, AV_CODEC_ID_MJPEG, AV_CODEC_ID_PRORES, AV_CODEC_ID_DNXHD,
      AV_CODEC_ID_FFV1, AV_CODEC_ID_HUFFYUV, AV_CODEC_ID_FFVHUFF, AV_CODEC_ID_RAWVIDEO, AV_CODEC_ID_PNG,
      AV_CODEC_ID_APNG, AV_CODEC_ID_GIF:
      true
    default: false
    }
  }

  static func isAudio(_ codec: AVCodecID) -> Bool {
    switch codec {
    case AV_CODEC_ID_MP3, AV_CODEC_ID_MP2, AV_CODEC_ID_AAC, AV_CODEC_ID_FLAC, AV_CODEC_ID_ALAC, AV_CODEC_ID_VORBIS,
      AV_CODEC_ID_OPUS, AV_CODEC_ID_AC3, AV_CODEC_ID_EAC3, AV_CODEC_ID_AMR_NB, AV_CODEC_ID_AMR_WB,
      AV_CODEC_ID_ADPCM_MS, AV_CODEC_ID_ADPCM_IMA_WAV, AV_CODEC_ID_PCM_U8, AV_CODEC_ID_PCM_S8,
      AV_CODEC_ID_PCM_S16LE, AV_CODEC_ID_PCM_S16BE, AV_CODEC_ID_PCM_S24LE, AV_CODEC_ID_PCM_S24BE,
      AV_CODEC_ID_PCM_S32LE, AV_CODEC_ID_PCM_S32BE, AV_CODEC_ID_PCM_F32LE, AV_CODEC_ID_PCM_F32BE,
      AV_CODEC_ID_PCM_F64LE, AV_CODEC_ID_PCM_F64BE, AV_CODEC_ID_PCM_ALAW, AV_CODEC_ID_PCM_MULAW:
      true
    default: false
    }
  }

  /// The codec's name for a sentence.
  static func name(_ codec: AVCodecID) -> String { String(cString: avcodec_get_name(codec)) }
}
