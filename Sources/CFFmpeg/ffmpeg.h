// FFmpeg's libraries (5.1 or later) for Swift, and what Swift can't import of them: macros that compute, and members
// that moved between versions. No logic lives here.
#ifndef DORMOUSE_FFMPEG_H
#define DORMOUSE_FFMPEG_H
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/channel_layout.h>
#include <libavutil/imgutils.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <libswresample/swresample.h>
#include <libswscale/swscale.h>
#include <stddef.h>

static const int ffmpeg_error_again = AVERROR(EAGAIN);
static const int ffmpeg_error_end = AVERROR_EOF;
static const int ffmpeg_error_exit = AVERROR_EXIT;
static const int ffmpeg_error_memory = AVERROR(ENOMEM);
static const int ffmpeg_error_input_output = AVERROR(EIO);
static const int ffmpeg_error_permission = AVERROR(EPERM);
static const int ffmpeg_error_argument = AVERROR(EINVAL);
static const int ffmpeg_error_not_implemented = AVERROR(ENOSYS);
static const int ffmpeg_error_unsupported = AVERROR_PATCHWELCOME;
static const int ffmpeg_error_no_decoder = AVERROR_DECODER_NOT_FOUND;
static const int ffmpeg_error_invalid_data = AVERROR_INVALIDDATA;
static const int64_t ffmpeg_no_timestamp = AV_NOPTS_VALUE;

// The nine values of a track's display matrix (libavutil/display.h), or NULL.
static inline const int32_t *ffmpeg_display_matrix(const AVStream *stream) {
#if LIBAVFORMAT_VERSION_INT >= AV_VERSION_INT(60, 15, 100)
  const AVPacketSideData *data = av_packet_side_data_get(
      stream->codecpar->coded_side_data, stream->codecpar->nb_coded_side_data, AV_PKT_DATA_DISPLAYMATRIX);
  return data && data->size >= 9 * sizeof(int32_t) ? (const int32_t *)data->data : NULL;
#else
  size_t size = 0;
  const uint8_t *data = av_stream_get_side_data(stream, AV_PKT_DATA_DISPLAYMATRIX, &size);
  return data && size >= 9 * sizeof(int32_t) ? (const int32_t *)data : NULL;
#endif
}

// The offset of the number that a message's level is raised by (AVClass.log_level_offset_offset) in a context of which
// `opaque`, the user's own word, holds that number.
static const int ffmpeg_format_opaque_offset = (int)offsetof(AVFormatContext, opaque);
#endif
