"""Options of processor and template reach them, from Python and from the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

import gazeheads
from gazeheads import GazeheadsError
from gazeheads.cli.commands.models import pairs
from models.conftest import wrapped

Command = Callable[..., tuple[int, str, str]]
PICTURE = Image.new("RGB", (640, 200), "red")
EDGE = 32


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    made = {}
    for name in ("qwen3_vl", "internvl", "gemma3"):
        made[name] = tmp_path_factory.mktemp("models") / name
        wrapped(name).model.save_pretrained(made[name])
        wrapped(name).processor.save_pretrained(made[name])
    return made


@pytest.mark.parametrize("given", [
    {"max_pixels": EDGE * EDGE * 24},
    {"processor": {"max_pixels": EDGE * EDGE * 24}},
    {"processor": {"size": {"shortest_edge": EDGE * EDGE, "longest_edge": EDGE * EDGE * 24}}},
])  # fmt: skip
def test_a_budget_of_pixels_is_kept(folders: dict[str, Path], given: dict[str, object]) -> None:
    vlm = gazeheads.load(folders["qwen3_vl"], **given)
    few = len(vlm.encode(PICTURE, "what?").tokens)
    assert 12 <= few <= 24 < len(wrapped("qwen3_vl").encode(PICTURE, "what?").tokens)


def test_a_least_number_of_pixels_is_kept(folders: dict[str, Path]) -> None:
    vlm = gazeheads.load(folders["qwen3_vl"], min_pixels=EDGE * EDGE * 30)
    assert len(vlm.encode(Image.new("RGB", (64, 64)), "what?").tokens) >= 30


def test_options_that_a_processor_passes_on_reach_it_too(folders: dict[str, Path]) -> None:
    plain = gazeheads.load(folders["internvl"])
    for options in ({"max_patches": 1}, {"crop_to_patches": False}):
        vlm = gazeheads.load(folders["internvl"], processor=options)
        assert len(vlm.encode(PICTURE, "what?").tokens) == 4
    assert len(plain.encode(PICTURE, "what?").tokens) > 4
    scanning = {"do_pan_and_scan": True, "pan_and_scan_min_crop_size": 32}
    vlm = gazeheads.load(folders["gemma3"], processor=scanning)
    assert len(vlm.encode(PICTURE, "what?").tokens) > 4


WRONG = [
    ("internvl", {"max_pixels": 1000}, "no option 'max_pixels'; it has .*max_patches"),
    ("qwen3_vl", {"processor": {"max_pixel": 1000}}, "no option 'max_pixel'; it has .*max_pixels"),
    ("qwen3_vl", {"processor": {"patch_size": 8}}, "patch_size is fixed by the model"),
    ("qwen3_vl", {"processor": {"merge_size": 1}}, "merge_size is fixed by the model"),
    ("qwen3_vl", {"max_pixels": 0}, "at least 1, not 0"),
    ("qwen3_vl", {"max_pixels": "many"}, "at least 1, not 'many'"),
    ("qwen3_vl", {"max_pixels": 10, "min_pixels": 20}, "below min_pixels"),
    ("qwen3_vl", {"max_pixels": 10}, "below min_pixels"),
    ("qwen3_vl", {"processor": {"do_resize": "perhaps"}}, "processor refused its options"),
    ("qwen3_vl", {"processor": "fast"}, "takes a dict of options"),
    ("qwen3_vl", {"template": {"no_such": 1}}, "no option 'no_such'"),
]


@pytest.mark.parametrize(("name", "options", "said"), WRONG)
def test_options_that_cannot_be_are_one_line(
    name: str, options: dict[str, object], said: str, folders: dict[str, Path]
) -> None:
    with pytest.raises(GazeheadsError, match=said) as caught:
        gazeheads.load(folders[name], **options)
    assert "\n" not in str(caught.value)


def test_options_on_the_command_line(
    command: Command, folders: dict[str, Path], tmp_path: Path
) -> None:
    PICTURE.save(tmp_path / "photo.png")
    words = ("tokens", tmp_path / "photo.png", "--model", folders["qwen3_vl"],
             "-o", tmp_path / "t.png")  # fmt: skip
    code, out, err = command("--max-pixels", EDGE * EDGE * 24, *words)
    assert code == 0, err
    assert int(out.split(", ")[1].split()[0]) <= 24
    again = ("--processor", f"max_pixels={EDGE * EDGE * 24}", "--template", "enable_thinking=false")
    assert command(*again, *words)[:2] == (0, out)
    for given, said in (
        (("--processor", "max_pixels"), "takes KEY=VALUE"),
        (("--processor", "colour=1"), "no option 'colour'"),
        (("--template", "colour=1"), "no option 'colour'"),
        (("--template", "a=1", "--template", "a=2"), "given twice"),
    ):
        code, _, err = command(*given, *words)
        assert code == 2 and said in err and err.count("\n") == 1


def test_values_of_the_command_line_are_read_as_people_write_them() -> None:
    read = pairs("--processor", ["a=1", "b=true", "c=False", 'd={"x": 2}', "e=word", "f=x=y"])
    assert read == {"a": 1, "b": True, "c": False, "d": {"x": 2}, "e": "word", "f": "x=y"}


@pytest.mark.parametrize("name", ["mistral3", "pixtral"])
def test_a_picture_of_one_token(name: str) -> None:
    vlm = wrapped(name)
    encoded = vlm.encode(Image.new("RGB", (10, 10)), "what?")
    assert len(encoded.tokens) == 1
    assert vlm.watch(encoded, max_new_tokens=1).attention.shape[-1] == 1
