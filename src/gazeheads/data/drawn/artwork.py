"""The artwork of the drawn comics: bundled sprites and code-drawn props, cut to size and cached.

The sprites are Microsoft Fluent Emoji (MIT licence). Props (an easel, a tub, a star-burst)
are drawn once at high resolution and then treated exactly like sprites.
"""

from __future__ import annotations

from functools import cache, lru_cache
from importlib.resources import files

from PIL import Image, ImageChops, ImageDraw

from gazeheads.data.drawn.props import PROPS, draw_prop

SPRITE_FOLDER = files("gazeheads.data.drawn") / "sprites"


@cache
def source(name: str) -> Image.Image:
    """The artwork at full resolution, cropped to what is visible, with premultiplied alpha."""
    if name in PROPS:
        image = draw_prop(name)
    else:
        with (SPRITE_FOLDER / f"{name}.webp").open("rb") as stream:
            image = Image.open(stream).convert("RGBA")
    return image.crop(image.getchannel("A").getbbox()).convert("RGBa")


@lru_cache(maxsize=4096)
def sprite(name: str, side: int, flip: bool = False, angle: int = 0) -> Image.Image:
    """The artwork as RGBA, its longer side `side` pixels before it is turned.

    Args:
        name: A sprite or a prop.
        side: Longer side in pixels.
        flip: Whether to mirror it left to right.
        angle: Degrees counter-clockwise.
    """
    image = source(name)
    scale = side / max(image.size)
    width, height = (max(1, round(edge * scale)) for edge in image.size)
    image = image.resize((width, height), Image.Resampling.LANCZOS)
    if flip:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if angle:
        # Premultiplied alpha keeps the turned edges free of dark fringes.
        image = image.rotate(angle, Image.Resampling.BICUBIC, expand=True)
        image = image.crop(image.getchannel("a").getbbox())
    return image.convert("RGBA")


@lru_cache(maxsize=1024)
def halves(name: str, side: int, flip: bool = False) -> tuple[Image.Image, Image.Image]:
    """The artwork cut in two along a zig-zag from top to bottom, as two images of its full size."""
    whole = sprite(name, side, flip)
    width, height = whole.size
    teeth = 5
    tooth = width * 0.09
    edge = [
        (width / 2 + (tooth if i % 2 else -tooth), height * i / teeth) for i in range(teeth + 1)
    ]
    left_mask = Image.new("L", whole.size, 0)
    ImageDraw.Draw(left_mask).polygon([(0, 0), *edge, (0, height)], fill=255)
    cut = []
    for mask in (left_mask, ImageChops.invert(left_mask)):
        half = whole.copy()
        half.putalpha(ImageChops.multiply(whole.getchannel("A"), mask))
        cut.append(half)
    return cut[0], cut[1]


@cache
def shadow(width: int, height: int) -> Image.Image:
    """A soft round shadow, as an alpha mask."""
    scale = 8
    blot = Image.new("L", (16 * scale, 16 * scale), 0)
    draw = ImageDraw.Draw(blot)
    for ring in range(6 * scale, 0, -1):
        tone = round(110 * (1 - ring / (6 * scale)) ** 0.7)
        draw.ellipse(
            [8 * scale - ring, 8 * scale - ring, 8 * scale + ring, 8 * scale + ring], fill=tone
        )
    return blot.resize((max(1, width), max(1, height)), Image.Resampling.BILINEAR)
