"""Uploaded pictures look as the page shows them, within their bounds."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from gazeheads.live.uploads import PictureError, PictureLimits, open_upload

LIMITS = PictureLimits(max_bytes=100_000, max_pixels=10_000, max_side=300)


def file(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_turned_photograph_is_upright_as_in_the_browser(kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert open_upload(file(Image.new("RGB", (40, 20)), kind, exif=exif), LIMITS).size == (20, 40)


def test_transparent_and_16_bit_pictures_are_not_black_or_white() -> None:
    clear = open_upload(file(Image.new("RGBA", (8, 8), (0, 0, 0, 0))), LIMITS)
    assert clear.getpixel((3, 3)) == (255, 255, 255)
    grey = open_upload(file(Image.fromarray(np.full((8, 8), 257 * 90, np.uint16))), LIMITS)
    assert grey.getpixel((3, 3)) == (90, 90, 90)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "not a PNG, JPEG or WebP"),
        (b"GIF89a", "not a PNG, JPEG or WebP"),
        (file(Image.new("RGB", (20, 20)), "GIF"), "not a PNG, JPEG or WebP"),
        (file(Image.new("RGB", (200, 200))), "10,000"),
        (file(Image.effect_noise((60, 60), 90))[:900], "damaged"),
        (b"x" * 100_001, "100,001 bytes"),
    ],
)
def test_what_is_refused_says_why(data: bytes, told: str) -> None:
    with pytest.raises(PictureError, match=told):
        open_upload(data, LIMITS)
