"""Families that cut an image into tiles and add a thumbnail: InternVL, Ovis2, Idefics3, SmolVLM."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
from transformers.models.cohere2_vision.image_processing_cohere2_vision import (
    get_optimal_tiled_canvas as cohere2_canvas,
)
from transformers.models.got_ocr2.image_processing_got_ocr2 import get_optimal_tiled_canvas

from gazeheads.models.families.cells import cells, image_option, pixel_size, runs, tiles, whole
from gazeheads.models.families.family import Family, FamilyError, Prompt

_PATCHES = ("min_patches", "max_patches")


class InternVL(Family):
    """Tiles of the best canvas, thumbnail last; an image that fits one tile has no thumbnail."""

    name = "InternVL"
    model_types: tuple[str, ...] = ("internvl", "qianfan_ocr")

    def boxes(self, prompt: Prompt) -> list[np.ndarray]:
        """See `Family.boxes`."""
        pixels = prompt.pixels
        tile = (pixels.size.height, pixels.size.width)
        side = self._side(prompt.processor)
        least, most = (int(image_option(prompt.processor, n)) for n in _PATCHES)
        if not image_option(prompt.processor, "crop_to_patches"):
            least = most = 1
        by_image = []
        for size in prompt.sizes:
            columns, rows = self._layout((size[1], size[0]), tile, least, most)
            boxes = tiles(size, columns, rows, side, side)
            if columns * rows > 1:
                boxes = np.concatenate([boxes, cells(whole(size), side, side)])
            by_image.append(boxes)
        return by_image

    def square(self, processor: Any) -> tuple[int, int]:
        """One tile."""
        return pixel_size(processor)

    def _layout(
        self, size: tuple[int, int], tile: tuple[int, int], least: int, most: int
    ) -> tuple[int, int]:
        """(columns, rows) of tiles for an image of (height, width)."""
        return get_optimal_tiled_canvas(size, tile, least, most)

    def _side(self, processor: Any) -> int:
        """Tokens along the edge of a tile."""
        return math.isqrt(int(processor.image_seq_length))


class AyaVision(InternVL):
    """InternVL's tiles, announced in the text; the processor counts tokens by their pixels."""

    name = "Aya Vision"
    model_types = ("aya_vision",)

    def _side(self, processor: Any) -> int:
        """Tokens along the edge of a tile."""
        return int(processor.img_size) // int(processor.patch_size)


class Cohere2Vision(InternVL):
    """InternVL's tiles with a layout of its own."""

    name = "Command A Vision"
    model_types = ("cohere2_vision",)

    def _layout(
        self, size: tuple[int, int], tile: tuple[int, int], least: int, most: int
    ) -> tuple[int, int]:
        """(columns, rows) of tiles for an image of (height, width)."""
        return cohere2_canvas(size, tile, least, most)

    def _side(self, processor: Any) -> int:
        """Tokens along the edge of a tile."""
        return int(processor.patch_size)


class PerceptionLM(Family):
    """Thumbnail first, then the tiles of a canvas that the image is stretched to."""

    name = "Perception LM"
    model_types = ("perception_lm",)

    def boxes(self, prompt: Prompt) -> list[np.ndarray]:
        """See `Family.boxes`."""
        pixels, processor = prompt.pixels, prompt.processor
        edge = int(pixels.tile_size)
        side = edge // int(processor.patch_size) // int(processor.pooling_ratio)
        by_image = []
        for size in prompt.sizes:
            boxes = cells(whole(size), side, side)
            if pixels.vision_input_type == "thumb+tile":
                # the processor's own two rules: the canvas that holds the image, else the closest
                layout = pixels._fit_image_to_canvas(*size, edge)
                layout = layout or pixels._find_closest_aspect_ratio(*size, edge)
                columns, rows = layout if int(pixels.max_num_tiles) > 1 else (1, 1)
                boxes = np.concatenate([boxes, tiles(size, columns, rows, side, side)])
            by_image.append(boxes)
        return by_image

    def square(self, processor: Any) -> tuple[int, int]:
        """One tile."""
        edge = int(processor.image_processor.tile_size)
        return edge, edge


class Ovis2(Family):
    """Thumbnail first, then tiles; indicator tokens between them tell the tiles' layout."""

    name = "Ovis2"
    model_types = ("ovis2",)

    def boxes(self, prompt: Prompt) -> list[np.ndarray]:
        """See `Family.boxes`."""
        tokenizer = prompt.processor.tokenizer
        end, row = tokenizer.convert_tokens_to_ids(["<IMG_END>", "<IMG_ROW>"])
        count = int(prompt.processor.image_seq_length)
        side = math.isqrt(count)
        by_image = []
        ids = prompt.inputs["input_ids"][0].cpu().numpy()
        start = 0
        for size, stop in zip(prompt.sizes, np.flatnonzero(ids == end).tolist(), strict=False):
            squares = int((ids[start:stop] == prompt.config.image_token_id).sum()) // count
            boxes = cells(whole(size), side, side)
            if squares > 1:
                rows = 1 + int((ids[start:stop] == row).sum())
                layout = tiles(size, (squares - 1) // rows, rows, side, side)
                boxes = np.concatenate([boxes, layout])
            by_image.append(boxes)
            start = stop + 1
        return by_image

    def square(self, processor: Any) -> tuple[int, int]:
        """One tile."""
        return pixel_size(processor)


class Idefics3(Family):
    """Tiles, each announced by its row and column in the text; the whole image last."""

    name = "Idefics3, SmolVLM"
    model_types = ("idefics3", "smolvlm")
    _ANNOUNCED = re.compile(r"<row_(\d+)_col_(\d+)>\s*$")
    _REACH = 24  # tokens to look back for the announcement, should it be no token of its own

    def boxes(self, prompt: Prompt) -> list[np.ndarray]:
        """See `Family.boxes`."""
        side = math.isqrt(int(prompt.processor.image_seq_len))
        ids = prompt.inputs["input_ids"][0]
        by_image: list[np.ndarray] = []
        columns = rows = 0
        for run in runs(prompt.positions):
            before = ids[max(0, int(run[0]) - self._REACH) : int(run[0])]
            tile = self._ANNOUNCED.search(prompt.processor.tokenizer.decode(before))
            if tile:
                rows, columns = int(tile[1]), int(tile[2])
                continue
            if len(by_image) == len(prompt.sizes):
                raise FamilyError(f"the prompt has more than {len(prompt.sizes)} images")
            size = prompt.sizes[len(by_image)]
            boxes = cells(whole(size), side, side)
            if rows:
                boxes = np.concatenate([tiles(size, columns, rows, side, side), boxes])
            by_image.append(boxes)
            columns = rows = 0
        return by_image

    def square(self, processor: Any) -> tuple[int, int]:
        """One tile."""
        edge = int(processor.image_processor.max_image_size["longest_edge"])
        return edge, edge
