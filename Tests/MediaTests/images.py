"""What the tests of images share: PIL's view of a file, and this library's."""

import io

import numpy as np
from PIL import Image, ImageOps


def reference(data):
    """As the published processors load an image: upright, without alpha."""
    image = Image.open(io.BytesIO(data))
    return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


def saved(image, format, **options):
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def decoded(media, data, **options):
    with media.open(data, **options) as file:
        info = file.info()
        pixels = file.image()
        assert (info.width, info.height, info.frame_count) == (pixels.shape[1], pixels.shape[0], 1)
        assert info.duration == info.frame_rate == 0 and info.channel_count == 0
        return pixels


def modes(painting):
    """The painting in every mode that some lossless format stores."""
    color = Image.fromarray(painting)
    alpha = Image.fromarray(np.tile(np.arange(83, dtype=np.uint8) * 3, (61, 1)))
    with_alpha = color.copy()
    with_alpha.putalpha(alpha)
    grey = color.convert("L")
    grey_alpha = Image.merge("LA", (grey, alpha))
    return {
        "RGB": color, "RGBA": with_alpha, "L": grey, "LA": grey_alpha, "1": color.convert("1"),
        "P": color.quantize(200), "P16": color.quantize(16), "P4": color.quantize(4), "P2": color.quantize(2),
    }
