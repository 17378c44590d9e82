"""A picture as it is published: made anew from its pixels, so that nothing else of a file is left.

Where it was taken, with what and when, thumbnails, and whatever hides behind a picture: all gone.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

MOST_BYTES = 12 << 20
MOST_PIXELS = 50_000_000
LEAST_SIDE = 200
LARGE, SMALL = 1600, 480  # pixels at most, of the longer side
_FORMATS = ("JPEG", "PNG", "WEBP")
_QUALITY = 80


class PictureFault(ValueError):
    """Why a file cannot be used: an English sentence, translated where it is shown."""


@dataclass(frozen=True, slots=True)
class Picture:
    """WebP files; ``width`` and ``height`` are the large one's, in pixels."""

    large: bytes
    small: bytes
    width: int
    height: int


def prepare(content: bytes) -> Picture:
    """Return what is published of a file that was sent. Raises PictureFault."""
    if len(content) > MOST_BYTES:
        raise PictureFault("It is larger than 12 MB.")
    try:
        return _prepare(content)
    except PictureFault:
        raise
    except (UnidentifiedImageError, SyntaxError):
        raise PictureFault("It is not a JPEG, PNG or WebP picture.") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise PictureFault("It has more than 50 million pixels.") from None
    except Exception:  # noqa: BLE001 - decoders of broken files raise whatever they like
        raise PictureFault("It is damaged, and cannot be read.") from None


def _prepare(content: bytes) -> Picture:
    with Image.open(io.BytesIO(content), formats=_FORMATS) as file:
        # The header says so; nothing is decoded yet.
        if file.width * file.height > MOST_PIXELS:
            raise PictureFault("It has more than 50 million pixels.")
        if min(file.size) < LEAST_SIDE:
            raise PictureFault("It is too small: at least 200 pixels a side are needed.")
        profile = file.info.get("icc_profile")
        file.draft("RGB", (2 * LARGE, 2 * LARGE))  # a JPEG is decoded no larger than is needed
        upright = ImageOps.exif_transpose(file)
        upright.thumbnail((LARGE, LARGE), Image.Resampling.LANCZOS)
        large = _plain(upright, profile)
    small = large.copy()
    small.thumbnail((SMALL, SMALL), Image.Resampling.LANCZOS)
    return Picture(_webp(large), _webp(small), large.width, large.height)


def _plain(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Return the picture in sRGB, on white where the picture is transparent."""
    if image.has_transparency_data:
        image = image.convert("RGBA")
        behind = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(behind, image)
    return _to_srgb(image.convert("RGB"), profile)


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Bring the wider colours of telephones to those that every screen shows."""
    if not profile:
        return image
    try:
        given = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        srgb = ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image, given, srgb, outputMode="RGB") or image
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image  # of another kind of colours, or broken


def _webp(image: Image.Image) -> bytes:
    out = io.BytesIO()
    # Whatever a version of the library would take over from what was read: nothing.
    image.save(out, "WEBP", quality=_QUALITY, method=4, exif=b"", icc_profile=b"", xmp=b"")
    return out.getvalue()
