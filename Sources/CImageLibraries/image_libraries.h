// The functions of libtiff (4.5 or later) and libheif (1.15 or later) for Swift. Both libraries are opened at run time,
// where they are there: their headers tell the compiler each function's type, and nothing is linked. What Swift can't
// call of them, functions with any number of arguments, stands here as well. No logic lives here.
#ifndef DORMOUSE_PICTURE_LIBRARIES_H
#define DORMOUSE_PICTURE_LIBRARIES_H
#include <dlfcn.h>
#include <libheif/heif.h>
#include <stddef.h>
#include <tiffio.h>

#define PICTURE_TIFF_FUNCTIONS(F) \
  F(TIFFClientOpenExt) F(TIFFClose) F(TIFFGetField) F(TIFFGetFieldDefaulted) F(TIFFSetField) F(TIFFIsCODECConfigured) \
  F(TIFFIsTiled) F(TIFFOpenOptionsAlloc) F(TIFFOpenOptionsFree) F(TIFFOpenOptionsSetErrorHandlerExtR) \
  F(TIFFOpenOptionsSetMaxSingleMemAlloc) F(TIFFOpenOptionsSetWarningHandlerExtR) F(TIFFRGBAImageBegin) \
  F(TIFFRGBAImageEnd) F(TIFFRGBAImageGet) F(TIFFComputeStrip) F(TIFFReadEncodedStrip) F(TIFFReadTile) \
  F(TIFFScanlineSize) F(TIFFStripSize) F(TIFFTileRowSize) F(TIFFTileSize)

#define PICTURE_HEIF_FUNCTIONS(F) \
  F(heif_context_alloc) F(heif_context_free) F(heif_context_get_primary_image_handle) \
  F(heif_context_read_from_reader) F(heif_context_set_max_decoding_threads) \
  F(heif_context_set_maximum_image_size_limit) F(heif_decode_image) F(heif_decoding_options_alloc) \
  F(heif_decoding_options_free) F(heif_image_get_height) F(heif_image_get_plane_readonly) F(heif_image_get_width) \
  F(heif_image_handle_get_height) F(heif_image_handle_get_width) F(heif_image_handle_release) F(heif_image_release) \
  F(heif_init)

#define PICTURE_MEMBER(name) __typeof__(&name) name;
typedef struct image_tiff_functions {
  PICTURE_TIFF_FUNCTIONS(PICTURE_MEMBER)
} image_tiff_functions;
typedef struct image_heif_functions {
  PICTURE_HEIF_FUNCTIONS(PICTURE_MEMBER)
} image_heif_functions;

// Looks a library's functions up. Returns the name of one that is not there; NULL: all are.
#define PICTURE_FIND(name) \
  functions->name = (__typeof__(functions->name))dlsym(library, #name); \
  if (!functions->name) return #name;
static inline const char *image_find_tiff(image_tiff_functions *functions, void *library) {
  PICTURE_TIFF_FUNCTIONS(PICTURE_FIND)
  return NULL;
}
static inline const char *image_find_heif(image_heif_functions *functions, void *library) {
  PICTURE_HEIF_FUNCTIONS(PICTURE_FIND)
  return NULL;
}

// Fields of an image, by their tags; 0: the file does not have it.
static inline int picture_tiff_get_16(const image_tiff_functions *functions, TIFF *tiff, uint32_t tag,
                                      uint16_t *value) {
  return functions->TIFFGetFieldDefaulted(tiff, tag, value);
}
static inline int picture_tiff_get_32(const image_tiff_functions *functions, TIFF *tiff, uint32_t tag,
                                      uint32_t *value) {
  return functions->TIFFGetField(tiff, tag, value);
}
// What the components beyond the colours are.
static inline int image_tiff_get_extra(const image_tiff_functions *functions, TIFF *tiff, uint16_t *count,
                                         const uint16_t **kinds) {
  return functions->TIFFGetField(tiff, TIFFTAG_EXTRASAMPLES, count, kinds);
}
// Red, green and blue of a palette, 2^bits values each.
static inline int image_tiff_get_palette(const image_tiff_functions *functions, TIFF *tiff, const uint16_t **red,
                                           const uint16_t **green, const uint16_t **blue) {
  return functions->TIFFGetField(tiff, TIFFTAG_COLORMAP, red, green, blue);
}
static inline int image_tiff_get_subsampling(const image_tiff_functions *functions, TIFF *tiff, uint16_t *columns,
                                               uint16_t *rows) {
  return functions->TIFFGetFieldDefaulted(tiff, TIFFTAG_YCBCRSUBSAMPLING, columns, rows);
}
// Has libjpeg, below libtiff, give red, green and blue.
static inline int image_tiff_ask_for_rgb(const image_tiff_functions *functions, TIFF *tiff) {
  return functions->TIFFSetField(tiff, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
}
#endif
