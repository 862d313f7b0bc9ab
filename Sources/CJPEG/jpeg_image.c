#include "jpeg_image.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jerror.h>
#include <jpeglib.h>

enum { buffer_size = 64 << 10 };

// libjpeg gives its own structs to the functions below; each is the first member of `reader`, or leads to it.
typedef struct reader {
  struct jpeg_decompress_struct jpeg;
  struct jpeg_error_mgr errors;
  struct jpeg_source_mgr source;
  struct jpeg_progress_mgr progress;
  const jpeg_image_calls *calls;
  jpeg_image_result result;
  char *message;
  jmp_buf out;
  uint8_t buffer[buffer_size];
} reader;

static _Noreturn void leave(reader *reader, jpeg_image_result result) {
  reader->result = result;
  longjmp(reader->out, 1);
}

static jpeg_image_result kind_of_error(int code) {
  switch (code) {
  case JERR_OUT_OF_MEMORY: return JPEG_IMAGE_NO_MEMORY;
  case JERR_INPUT_EOF: return JPEG_IMAGE_CUT;
  case JERR_ARITH_NOTIMPL:
  case JERR_BAD_PRECISION:
  case JERR_BAD_SAMPLING:
  case JERR_BAD_J_COLORSPACE:
  case JERR_CCIR601_NOTIMPL:
  case JERR_COMPONENT_COUNT:
  case JERR_CONVERSION_NOTIMPL:
  case JERR_FRACT_SAMPLE_NOTIMPL:
  case JERR_IMAGE_TOO_BIG:
  case JERR_NOTIMPL:
  case JERR_NOT_COMPILED:
  case JERR_SOF_UNSUPPORTED:
  case JERR_WIDTH_OVERFLOW: return JPEG_IMAGE_UNSUPPORTED;
  default: return JPEG_IMAGE_DAMAGED;
  }
}

static void error_exit(j_common_ptr jpeg) {
  reader *reader = jpeg->client_data;
  char text[JMSG_LENGTH_MAX];
  jpeg->err->format_message(jpeg, text);
  snprintf(reader->message, jpeg_image_message_size, "%s", text);
  leave(reader, kind_of_error(jpeg->err->msg_code));
}

static void output_message(j_common_ptr jpeg) { (void)jpeg; }

static void begin_or_end(j_decompress_ptr jpeg) { (void)jpeg; }

static boolean fill_input_buffer(j_decompress_ptr jpeg) {
  reader *reader = jpeg->client_data;
  size_t count = reader->calls->read(reader->calls->context, reader->buffer, buffer_size);
  if (count == 0 || count > buffer_size) leave(reader, JPEG_IMAGE_CUT);
  reader->source.next_input_byte = reader->buffer;
  reader->source.bytes_in_buffer = count;
  return TRUE;
}

static void skip_input_data(j_decompress_ptr jpeg, long count) {
  if (count <= 0) return;
  struct jpeg_source_mgr *source = jpeg->src;
  size_t left = (size_t)count;
  while (left > source->bytes_in_buffer) {
    left -= source->bytes_in_buffer;
    fill_input_buffer(jpeg);
  }
  source->next_input_byte += left;
  source->bytes_in_buffer -= left;
}

static void progress_monitor(j_common_ptr jpeg) {
  reader *reader = jpeg->client_data;
  if (reader->calls->is_stopped(reader->calls->context)) leave(reader, JPEG_IMAGE_STOPPED);
}

static void set_up(reader *reader) {
  struct jpeg_decompress_struct *jpeg = &reader->jpeg;
  reader->source = (struct jpeg_source_mgr){.init_source = begin_or_end,
                                            .fill_input_buffer = fill_input_buffer,
                                            .skip_input_data = skip_input_data,
                                            .resync_to_restart = jpeg_resync_to_restart,
                                            .term_source = begin_or_end};
  reader->progress.progress_monitor = progress_monitor;
  jpeg->src = &reader->source;
  jpeg->progress = &reader->progress;
}

// The colours that the rows shall have, which PIL takes too. Others than these three numbers of components mean nothing.
static void choose_colors(reader *reader) {
  struct jpeg_decompress_struct *jpeg = &reader->jpeg;
  switch (jpeg->num_components) {
  case 1: jpeg->out_color_space = JCS_GRAYSCALE; break;
  case 3: jpeg->out_color_space = JCS_RGB; break;
  case 4: jpeg->out_color_space = JCS_CMYK; break;
  default:
    snprintf(reader->message, jpeg_image_message_size, "pixels of %d components", jpeg->num_components);
    leave(reader, JPEG_IMAGE_UNSUPPORTED);
  }
}

static void read_rows(reader *reader) {
  struct jpeg_decompress_struct *jpeg = &reader->jpeg;
  const jpeg_image_calls *calls = reader->calls;
  jpeg_read_header(jpeg, TRUE);
  choose_colors(reader);
  if (calls->begin(calls->context, jpeg->image_width, jpeg->image_height, jpeg->num_components) != 0)
    leave(reader, JPEG_IMAGE_STOPPED);
  jpeg_start_decompress(jpeg);
  JDIMENSION width = jpeg->output_width * (JDIMENSION)jpeg->output_components;
  JSAMPARRAY row = jpeg->mem->alloc_sarray((j_common_ptr)jpeg, JPOOL_IMAGE, width, 1);
  while (jpeg->output_scanline < jpeg->output_height) {
    jpeg_read_scanlines(jpeg, row, 1);
    if (calls->row(calls->context, row[0]) != 0) leave(reader, JPEG_IMAGE_STOPPED);
  }
}

jpeg_image_result jpeg_image_read(const jpeg_image_calls *calls, char *message) {
  reader reader;
  memset(&reader, 0, offsetof(struct reader, buffer));
  reader.calls = calls;
  reader.message = message;
  message[0] = 0;
  reader.jpeg.err = jpeg_std_error(&reader.errors);
  reader.errors.error_exit = error_exit;
  reader.errors.output_message = output_message;
  reader.jpeg.client_data = &reader;
  if (setjmp(reader.out) == 0) {
    jpeg_create_decompress(&reader.jpeg);
    set_up(&reader);
    read_rows(&reader);
  }
  jpeg_destroy_decompress(&reader.jpeg);
  return reader.result;
}
