"""Pictures drawn by the package are known as such, and no others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from gazeheads.data.drawn.mark import is_drawn, png_text
from gazeheads.data.drawn.scenes import draw_scene
from gazeheads.data.drawn.strips import draw_strips
from gazeheads.data.folders import read_strips, write_strips
from gazeheads.data.pictures import open_image
from gazeheads.data.strip import Strip


def test_drawn_pictures_carry_the_mark_in_memory() -> None:
    (strip,) = draw_strips(1, 0, 3)
    scene = draw_scene(np.random.default_rng(0))
    for image in (strip.image, strip.panels[0], scene.image, open_image(scene.image)):
        assert is_drawn(image)
    foreign = Strip("x", tuple(Image.new("RGB", (64, 64), c) for c in ("red", "blue")))
    assert not is_drawn(foreign.image) and not is_drawn(np.asarray(scene.image))


def test_panels_of_drawn_strips_carry_it_in_their_files(tmp_path: Path) -> None:
    drawn = write_strips(tmp_path / "drawn", draw_strips(1, 0, 3))
    noise = [Image.new("RGB", (64, 64), colour) for colour in ("red", "blue")]
    foreign = write_strips(tmp_path / "foreign", [Strip("x", tuple(noise))])
    assert is_drawn(drawn / "comic1" / "p1.png") and is_drawn(str(drawn / "comic1" / "p2.png"))
    assert not is_drawn(foreign / "comic1" / "p1.png")
    assert is_drawn(open_image(drawn / "comic1" / "p1.png"))
    assert is_drawn(read_strips(drawn)[0].image) and not is_drawn(read_strips(foreign)[0].image)


def test_the_truth_beside_a_panel_tells_it_too(tmp_path: Path) -> None:
    folder = write_strips(tmp_path / "drawn", draw_strips(1, 0, 3))
    panel = folder / "comic1" / "p1.png"
    Image.open(panel).convert("RGB").save(folder / "comic1" / "p1.jpg")
    assert is_drawn(folder / "comic1" / "p1.jpg")
    (folder / "captions.jsonl").unlink()
    assert not is_drawn(folder / "comic1" / "p1.jpg")


def test_what_cannot_be_read_is_not_drawn(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no picture")
    assert not is_drawn(tmp_path / "a.png") and not is_drawn(tmp_path / "none.png")
    assert not is_drawn(None) and png_text(False) is None
