from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from gazeheads import GazeheadsError, Region
from gazeheads.data.drawn.strips import draw_strips
from gazeheads.data.layout import columns_for, relaid, relaid_picture


@pytest.mark.parametrize(
    ("panels", "width", "height", "columns"),
    [(6, 1, 1, 2), (6, 2, 3, 3), (4, 1, 1, 2), (4, 160, 200, 2), (1, 1, 1, 1), (9, 1, 1, 3),
     (6, 6, 1, 1), (6, 1, 6, 6)],
)  # fmt: skip
def test_columns_that_show_panels_largest_in_a_square(panels, width, height, columns):
    chosen = columns_for(panels, width, height)
    edge = {c: max(c * width, -(-panels // c) * height) for c in range(1, panels + 1)}
    assert edge[chosen] == min(edge.values())
    assert chosen == columns


def test_a_strip_in_rows_keeps_its_panels():
    (strip,) = draw_strips(1, 3, 6, size=64)
    rows = relaid(strip)
    assert len(rows) == 6 and rows.truths == strip.truths
    assert max(rows.image.size) / min(rows.image.size) < 2 < strip.image.width / strip.image.height
    for k in (1, 4, 6):
        panels = [
            np.asarray(each.image.crop(each.panel(k).boxes[0]).resize((32, 32)), dtype=float)
            for each in (strip, rows)
        ]
        assert np.abs(panels[0] - panels[1]).mean() < 12


def test_a_picture_in_rows_shows_every_panel_where_it_says():
    colours = ["red", "green", "blue", "yellow", "black"]
    picture = Image.new("RGB", (500, 90))
    panels = []
    for k, colour in enumerate(colours):
        picture.paste(colour, (100 * k, 0, 100 * k + 100, 90))
        panels.append(Region.from_box(100 * k, 0, 100 * k + 100, 90, f"panel {k + 1}"))
    page, places = relaid_picture(picture, panels)
    assert [place.name for place in places] == [panel.name for panel in panels]
    for colour, place in zip(colours, places, strict=True):
        place.check_inside(*page.size)
        cut = np.asarray(page.crop(place.boxes[0]))
        assert (cut == np.asarray(Image.new("RGB", (1, 1), colour))[0, 0]).all()
    with pytest.raises(GazeheadsError, match="one box each"):
        relaid_picture(picture, [Region(boxes=((0, 0, 1, 1), (2, 2, 3, 3)))])
