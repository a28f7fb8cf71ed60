from __future__ import annotations

import itertools
import re
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from gazeheads import GazeheadsError, Region
from gazeheads.boxes import OutsideError, allowed, lattice
from gazeheads.regions import CroppedError, ImageTokens, TooSmallError, grid_boxes

SIZES = st.tuples(st.integers(20, 300), st.integers(20, 300))
GRIDS = st.tuples(st.integers(1, 12), st.integers(1, 9))


def tokens_on(size, grid, start=5) -> ImageTokens:
    columns, rows = grid
    return ImageTokens.of_grid(np.arange(start, start + columns * rows), size, columns, rows)


@st.composite
def boxes_in(draw, size):
    x0, y0 = draw(st.integers(0, size[0] - 2)), draw(st.integers(0, size[1] - 2))
    x1, y1 = draw(st.integers(x0 + 1, size[0])), draw(st.integers(y0 + 1, size[1]))
    return (x0, y0, x1, y1)


@given(SIZES, GRIDS)
def test_a_grid_tiles_the_image(size, grid):
    tokens = tokens_on(size, grid)
    assert tokens.coverage() == pytest.approx(np.ones((size[1], size[0])))
    boxes = tokens.boxes
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    assert area.sum() == pytest.approx(size[0] * size[1])
    assert boxes[0, :2] == pytest.approx([0, 0]) and boxes[-1, 2:] == pytest.approx(size)


@given(st.data(), SIZES, GRIDS)
def test_centre_rule_against_a_loop(data, size, grid):
    box = data.draw(boxes_in(size))
    tokens = tokens_on(size, grid)
    expected = [
        i
        for i, (a, b, c, d) in enumerate(tokens.boxes)
        if box[0] <= (a + c) / 2 < box[2] and box[1] <= (b + d) / 2 < box[3]
    ]
    region = Region.from_box(*box)
    if not expected:
        with pytest.raises(GazeheadsError, match="no image token"):
            tokens.indices(region)
        return
    assert tokens.indices(region).tolist() == expected
    assert tokens.select(region).tolist() == [i + 5 for i in expected]
    together = np.concatenate([tokens.select(region), tokens.others(region)])
    assert sorted(together.tolist()) == tokens.positions.tolist()


@given(st.data(), SIZES, GRIDS, st.floats(0.05, 1.0))
def test_overlap_rule_against_areas(data, size, grid, threshold):
    box = data.draw(boxes_in(size))
    tokens = tokens_on(size, grid)
    shares = [
        max(0, min(c, box[2]) - max(a, box[0]))
        * max(0, min(d, box[3]) - max(b, box[1]))
        / ((c - a) * (d - b))
        for a, b, c, d in tokens.boxes
    ]
    assume(all(abs(share - threshold) > 1e-6 for share in shares))
    expected = [i for i, share in enumerate(shares) if share >= threshold]
    if expected:
        assert tokens.indices(Region.from_box(*box), "overlap", threshold).tolist() == expected
    else:
        with pytest.raises(GazeheadsError, match="no image token"):
            tokens.indices(Region.from_box(*box), "overlap", threshold)


@given(st.data(), SIZES)
def test_boxes_and_their_mask_are_the_same_region(data, size):
    boxes = data.draw(st.lists(boxes_in(size), min_size=1, max_size=3))
    mask = np.zeros((size[1], size[0]), dtype=bool)
    for x0, y0, x1, y1 in boxes:
        mask[y0:y1, x0:x1] = True
    tokens = tokens_on(size, (6, 5))
    by_boxes, by_mask = Region(boxes=tuple(boxes)), Region.from_mask(mask)
    assert by_boxes.covered_area(tokens.boxes) == pytest.approx(by_mask.covered_area(tokens.boxes))
    whole = np.array([[0.0, 0.0, size[0], size[1]]])
    assert by_mask.covered_area(whole)[0] == pytest.approx(mask.sum())
    points = data.draw(st.lists(st.tuples(st.floats(-5, 310), st.floats(-5, 310)), min_size=1))
    x, y = np.array(points).T
    assert by_boxes.contains(x, y).tolist() == by_mask.contains(x, y).tolist()


@given(SIZES, GRIDS, st.integers(0, 1000))
def test_a_heatmap_keeps_the_mass(size, grid, seed):
    tokens = tokens_on(size, grid)
    values = np.random.default_rng(seed).random(len(tokens))
    heat = tokens.heatmap(values)
    assert heat.shape == (size[1], size[0])
    assert heat.sum() == pytest.approx(values.sum())
    hot = np.zeros(len(tokens))
    hot[len(tokens) // 2] = 1.0
    y, x = np.unravel_index(tokens.heatmap(hot).argmax(), heat.shape)
    x0, y0, x1, y1 = tokens.boxes[len(tokens) // 2]
    assert x0 - 1 <= x <= x1 and y0 - 1 <= y <= y1


@given(st.data(), SIZES)
def test_panels_partition_the_tokens(data, size):
    cuts = sorted(data.draw(st.sets(st.integers(1, size[0] - 1), max_size=4)) | {0, size[0]})
    tokens = tokens_on(size, (12, 2))
    found: list[int] = []
    for a, b in itertools.pairwise(cuts):
        try:
            found += tokens.indices(Region.from_box(a, 0, b, size[1])).tolist()
        except GazeheadsError:
            continue
    assert sorted(found) == list(range(len(tokens)))


def test_regions_outside_the_image():
    tokens = tokens_on((100, 50), (10, 5))
    for box in [(-5, 0, 10, 10), (0, 0, 104, 10), (200, 0, 210, 10), (0, 0, 10, 53)]:
        with pytest.raises(GazeheadsError, match="outside"):
            tokens.indices(Region.from_box(*box))
    assert len(tokens.indices(Region.from_box(-0.5, 0, 100.9, 50))) == 50
    with pytest.raises(GazeheadsError, match="mask is 10x20"):
        tokens.indices(Region.from_mask(np.ones((20, 10))))


@given(SIZES, GRIDS, st.data())
def test_a_box_that_sticks_out_by_little_is_the_box_cut_off_and_one_further_out_is_refused(
    size, grid, data
):
    box = np.array(data.draw(boxes_in(size)), float)
    tokens = tokens_on(size, grid)
    side = data.draw(st.integers(0, 3))
    length = size[side % 2]
    edge = 0 if side < 2 else length
    away = -1 if side < 2 else 1
    box[side] = edge
    by = data.draw(st.floats(0, 3 * length))
    out = box.copy()
    out[side] = edge + away * by
    region = Region(boxes=(tuple(out),))
    if by > allowed(length):
        with pytest.raises(OutsideError, match="outside"):
            tokens.indices(region)
        return
    assert region.cut_to(*size).boxes == (tuple(box),)
    try:
        wanted = tokens.indices(Region.from_box(box))
    except TooSmallError:
        with pytest.raises(TooSmallError):
            tokens.indices(region)
        return
    assert tokens.indices(region).tolist() == wanted.tolist()


def test_what_is_cut_off_is_said_once(caplog):
    tokens = tokens_on((640, 427), (20, 13))
    region = Region.from_box(-5, 10, 200.5, 300, "dog")
    for _ in range(3):
        tokens.indices(region)
    assert len(caplog.records) == 1
    assert "dog" in caplog.text and "640x427" in caplog.text and "cut off" in caplog.text
    caplog.clear()
    tokens.indices(Region.from_box(-0.9, 10, 200, 300))
    assert not caplog.records


@pytest.mark.parametrize(
    ("box", "told"),
    [
        ((700, 10, 800, 300), "lies outside"),
        ((-90, -80, -5, -5), "lies outside"),
        ((500, 10, 745, 300), "by 105 at the right"),
        ((10, -50, 200, 300), "by 50 at the top"),
        ((100, 200, 900, 950), "per-mille"),
        ((20, 300, 400, 600), "EXIF"),
    ],
)
def test_a_box_outside_says_how_and_what_it_may_be(box, told):
    with pytest.raises(OutsideError, match=told):
        tokens_on((640, 427), (20, 13)).indices(Region.from_box(*box))


@given(SIZES, GRIDS, st.data())
def test_the_advice_for_a_region_too_small_for_a_token_is_right(size, grid, data):
    x0 = data.draw(st.floats(0, size[0] - 1.5))
    y0 = data.draw(st.floats(0, size[1] - 1.5))
    width, height = data.draw(st.floats(0.3, 3)), data.draw(st.floats(0.3, 3))
    tokens = tokens_on(size, grid)
    box = (x0 + 1, y0 + 1, min(x0 + 1 + width, size[0]), min(y0 + 1 + height, size[1]))
    assume(box[0] < box[2] and box[1] < box[3])
    try:
        tokens.indices(Region.from_box(box))
    except TooSmallError as error:
        columns, rows = grid
        assert f"{size[0] / columns:.0f}x{size[1] / rows:.0f} pixels" in str(error)
        threshold = float(re.search(r"threshold=([0-9.e-]+)", str(error))[1])
        assert len(tokens.indices(Region.from_box(box), "overlap", threshold))
        if threshold < 0.4:
            with pytest.raises(TooSmallError, match=rf"threshold={threshold:g}\b"):
                tokens.indices(Region.from_box(box), "overlap", 1.0)


def test_a_region_in_a_part_cut_off_by_the_processor_is_told_apart():
    boxes = grid_boxes((100, 100), 10, 10) + np.array([20, 0, 20, 0])
    tokens = ImageTokens(np.arange(100), boxes, ((140, 100),), np.zeros(100, int))
    with pytest.raises(CroppedError, match=r"cover \(20, 0, 120, 100\).*squash"):
        tokens.indices(Region.from_box(0, 0, 18, 90))
    with pytest.raises(CroppedError):
        tokens.indices(Region.from_box(0, 0, 18, 90), "overlap", 0.01)
    with pytest.raises(TooSmallError):
        tokens.indices(Region.from_box(0, 0, 22, 90))


@given(st.data(), SIZES)
def test_boxes_come_from_any_library_and_in_any_unit(data, size):
    box = data.draw(boxes_in(size))
    want = Region.from_box(*box)
    for given_box in (np.array(box), list(box), np.array(box, np.float32), torch.tensor(box)):
        assert Region.from_box(given_box) == want
        assert Region.from_box(*given_box) == want
        assert Region(boxes=(given_box,)) == want
        assert Region(boxes=given_box) == want
        assert Region(boxes=[given_box]) == want
    assert Region(boxes=np.array([box, box])).boxes == want.boxes * 2
    assert Region(boxes=torch.tensor([box, box])).boxes == want.boxes * 2
    shares = np.array(box) / np.tile(size, 2)
    relative = Region.from_box(*shares, units="relative", size=size)
    assert relative.boxes[0] == pytest.approx(box)
    mille = Region.from_box(shares * 1000, units="per-mille", size=np.array(size))
    assert mille.boxes[0] == pytest.approx(box)


def test_numbers_of_another_unit_are_refused_with_the_unit_named(caplog):
    with pytest.raises(GazeheadsError, match="units='relative'"):
        Region.from_box(0.1, 0.2, 0.5, 0.9)
    with pytest.raises(GazeheadsError, match="units='relative'"):
        Region(boxes=((0, 0, 50, 50), (0.1, 0.2, 0.5, 1.0)))
    with pytest.raises(GazeheadsError, match="is it in pixels"):
        Region.from_box(10, 20, 300, 200, units="relative", size=(640, 427))
    with pytest.raises(GazeheadsError, match="is it in pixels"):
        Region.from_box(10, 20, 1300, 200, units="per-mille", size=(1640, 427))
    with pytest.raises(GazeheadsError, match="size="):
        Region.from_box(0.1, 0.2, 0.5, 0.9, units="relative")
    with pytest.raises(GazeheadsError, match="unknown units"):
        Region.from_box(1, 2, 3, 4, units="percent", size=(9, 9))
    for wrong in ((1, 2, 3), "1,2,3,4", np.zeros((2, 4)), None, (1, 2, 3, "x")):
        with pytest.raises(GazeheadsError, match="four numbers"):
            Region.from_box(wrong)
    Region.from_box(0, 0, 1, 1).check_inside(50, 60)
    assert "units='relative'" in caplog.text


@pytest.mark.parametrize("box", [(0, 0, 0, 5), (5, 0, 1, 5), (0, 0, np.nan, 5), (0, 0, np.inf, 1)])
def test_empty_boxes(box):
    with pytest.raises(GazeheadsError, match="empty"):
        Region.from_box(*box)


def test_malformed_regions():
    with pytest.raises(GazeheadsError, match="not empty"):
        Region()
    with pytest.raises(GazeheadsError, match="at least one pixel"):
        Region.from_mask(np.zeros((3, 3)))
    tokens = tokens_on((100, 50), (10, 5))
    region = Region.from_box(0, 0, 50, 50)
    with pytest.raises(GazeheadsError, match="unknown rule"):
        tokens.indices(region, "middle")  # type: ignore[arg-type]
    with pytest.raises(GazeheadsError, match="threshold"):
        tokens.indices(region, "overlap", 0.0)
    with pytest.raises(GazeheadsError, match="of image 1"):
        tokens.indices(region.in_image(1))
    with pytest.raises(GazeheadsError, match="50 values"):
        tokens.heatmap(np.zeros(3))
    with pytest.raises(GazeheadsError, match="need"):
        ImageTokens(np.arange(3), np.zeros((2, 4)), ((1, 1),), np.zeros(3))


def test_regions_are_values():
    mask = np.eye(4, dtype=bool)
    assert Region.from_mask(mask, "a") == Region.from_mask(mask.copy(), "a")
    assert hash(Region.from_mask(mask)) == hash(Region.from_mask(mask))
    assert Region.from_box(0, 0, 1, 1) != Region.from_box(0, 0, 1, 2)
    region = Region.from_mask(mask)
    mask[:] = False
    assert region.mask is not None and region.mask.any()


def test_tokens_without_a_box_and_a_second_image():
    boxes = np.concatenate([grid_boxes((20, 10), 2, 1), np.full((1, 4), np.nan),
                            grid_boxes((8, 8), 1, 1)])  # fmt: skip
    tokens = ImageTokens(np.arange(4) + 3, boxes, ((20, 10), (8, 8)), np.array([0, 0, 0, 1]))
    left = Region.from_box(0, 0, 10, 10)
    assert tokens.select(left).tolist() == [3]
    assert tokens.others(left).tolist() == [4, 5]
    second = Region.from_box(0, 0, 8, 8).in_image(1)
    assert tokens.select(second).tolist() == [6] and tokens.others(second).tolist() == []
    assert tokens.heatmap(np.ones(4)).sum() == pytest.approx(2.0)
    assert tokens.heatmap(np.ones(4), image=1).shape == (8, 8)
    assert tokens.shifted(10).select(left).tolist() == [13]
    assert grid_boxes((30, 20), 3, 2)[4] == pytest.approx([10, 10, 20, 20])


@given(st.integers(1, 5), st.integers(1, 5), st.randoms(use_true_random=False))
def test_a_lattice_is_known_in_any_order_and_nothing_else_is_taken_for_one(
    rows: int, columns: int, random: Any
) -> None:
    boxes = grid_boxes((70, 50), columns, rows)
    shuffled = random.sample(range(len(boxes)), len(boxes))
    found = lattice(boxes[shuffled])
    assert found is not None and found[1] == (rows, columns)
    assert (boxes[shuffled][found[0]] == boxes).all()
    # as many boxes as a lattice of 2 x 2 would have, and two starts each way
    tiles = np.array([(0, 0, 5, 5), (5, 5, 9, 9), (0, 0, 9, 9), (5, 5, 7, 7)], dtype=float)
    assert lattice(tiles) is None
