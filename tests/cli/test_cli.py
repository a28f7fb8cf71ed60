"""The commands: what they print, what they leave, and how they refuse bad input."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Command
from PIL import Image

from gazeheads import heads_by_default
from gazeheads.cli import resolve
from gazeheads.data.drawn.strips import draw_strips
from gazeheads.data.folders import write_strips
from gazeheads.heads import HeadScores, HeadSet


@pytest.fixture(scope="session")
def strips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two drawn strips of two panels."""
    folder = tmp_path_factory.mktemp("strips") / "drawn"
    return write_strips(folder, draw_strips(2, 9, 2, size=32))


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in folder.rglob("*")
    }


def refused(command: Command, folder: Path, *words: object) -> str:
    """The one line on stderr of a command that must refuse and leave `folder` as it is."""
    before = tree(folder)
    code, out, err = command(*words)
    assert code == 2, err
    assert out == ""
    assert err.startswith("gazeheads: ") and err.count("\n") == 1 and err.endswith("\n")
    assert tree(folder) == before
    return err


def test_the_main_job_ends_with_the_path_of_a_report(
    command: Command, model: str, strips: Path, tmp_path: Path
) -> None:
    words = ("run", "--model", model, "--strips", strips, "--out", tmp_path, "--k", 2)
    code, out, err = command(*words)
    assert code == 0, err
    *_, last = out.strip().splitlines()
    report = Path(last.removeprefix("Report: "))
    assert report == tmp_path / "report.html" and report.is_file()
    assert "of answers follow when 2 gaze heads are steered" in out
    assert "Steering 2 heads to every panel: 2 in" in err
    # again with another K: refused, and nothing is changed
    before = tree(tmp_path)
    code, out, err = command(*words[:-1], 3)
    assert (code, out, tree(tmp_path)) == (2, "", before)
    assert "ks [2] -> [3]" in err.splitlines()[-1]


def test_discover_lists_heads_and_its_scores_steer_and_watch(
    command: Command, model: str, strips: Path, tmp_path: Path
) -> None:
    code, out, err = command(
        "discover", "--model", model, "--strips", strips, "--out", tmp_path, "--k", 3
    )
    assert code == 0, err
    scores = tmp_path / "discover" / "tiny-random" / "scores.json"
    ranking = HeadScores.load(scores).ranking()
    assert [line.split()[1] for line in out.splitlines()[:3]] == [str(h) for h in ranking[:3]]
    # how many heads are more than chance, and how stable the ranking is, as saved
    counted, stable = out.splitlines()[3:5]
    q, rows = HeadScores.load(scores).q, json.loads((scores.parent / "summary.json").read_text())
    results = rows["results"]
    assert q is not None and counted.startswith(f"{(q <= 0.05).sum()} of 16 living heads look at")
    assert f"{results['null']['permutations']:,} shuffles" in counted
    spearman = results["stability"]["spearman"]
    assert stable.startswith("Rankings from two random halves of the strips correlate by ")
    assert f" by {spearman:.2f} and share " in stable

    about = ("--model", model, "--heads", scores, "--k", 2, "--max-new-tokens", 4)
    code, out, err = command("steer", strips, *about, "--comic", 2)
    assert code == 0, err
    assert [line.split("  ")[0] for line in out.splitlines()] == ["unsteered", "panel 1", "panel 2"]
    code, out, _ = command("steer", strips, *about, "--panel", 2)
    assert [line[:7] for line in out.splitlines()] == ["unsteer", "panel 2"]
    # a copy of the model is the model
    moved = shutil.copytree(model, tmp_path / "my-finetune")
    code, again, err = command("steer", strips, *about, "--panel", 2, "--model", moved)
    assert (code, again) == (0, out) and "Note: head" not in err, err
    picture = strips / "comic1" / "p1.png"
    code, out, _ = command("steer", picture, *about, "--box", "0,0,32,32")
    assert code == 0 and "box 0,0,32,32" in out

    folder = tmp_path / "watched"
    code, out, err = command("watch", strips, *about, "--out", folder)
    assert code == 0, err
    data = json.loads((folder / "staircase.json").read_text())
    assert np.array(data["attention"]).shape == (len(data["pieces"]), 2)
    assert data["heads"] == [list(head) for head in ranking[:2]]
    with Image.open(folder / "staircase.png") as figure:
        assert figure.width > 500


def test_heads_found_in_text_are_a_run_told_beside_those_of_images(
    command: Command, model: str, strips: Path, tmp_path: Path
) -> None:
    words = ("discover", "--from", "text", "--model", model, "--strips", strips, "--out", tmp_path)
    code, out, err = command(*words, "--k", 3)
    assert code == 0, err
    folder = tmp_path / "text-heads" / "tiny-random"
    scores = HeadScores.load(folder / "scores.json")
    ranking = scores.living_ranking()
    assert [line.split()[1] for line in out.splitlines()[:3]] == [str(h) for h in ranking[:3]]
    results = json.loads((folder / "summary.json").read_text())["results"]
    assert scores.matrices is not None and results["lines"] == scores.matrices.shape[-1] == 2
    # the image heads are those of the same strips
    (image,) = (tmp_path / "discover").rglob("scores.json")
    for own in results["overlaps"]:
        k = own["k"]
        assert own["shared"] == len(set(HeadScores.load(image).top(k)) & set(ranking[:k]))
        assert 0 < own["p"] <= 1
        assert f"Top {k}: {own['shared']} are also" in out and f"p = {own['p']:.4f}" in out
    # a second time it is read back
    before = tree(tmp_path)
    assert command(*words, "--k", 3)[1] == out and tree(tmp_path) == before


def test_strips_without_captions_have_no_text_heads(
    command: Command, model: str, strips: Path, tmp_path: Path
) -> None:
    bare = shutil.copytree(strips, tmp_path / "bare")
    (bare / "captions.jsonl").unlink()
    code, out, err = command(
        "discover", "--from", "text", "--model", model, "--strips", bare, "--out", tmp_path / "o"
    )
    assert (code, out) == (2, "") and "captions" in err.splitlines()[-1]
    assert not list((tmp_path / "o").rglob("*.json"))


def test_heads_are_discovered_when_none_are_named(
    command: Command, model: str, strips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heads_by_default, "DISCOVERY_STRIPS", 1)
    code, out, err = command("steer", strips, "--model", model, "--panel", 1)
    assert code == 0, err
    assert "panel 1" in out and "Finding gaze heads: 1 in" in err


def test_strips_write_makes_the_folder_layout(command: Command, tmp_path: Path) -> None:
    code, out, err = command(
        "strips", "write", tmp_path / "s", "--count", 2, "--panels", 4, "--columns", 2,
        "--labels", "WXYZ", "--size", 32, "--seed", 5,
    )  # fmt: skip
    assert code == 0, err
    assert out.strip() == f"Strips: {tmp_path / 's'}"
    assert sorted(path.name for path in (tmp_path / "s" / "comic2").iterdir()) == [
        "p1.png", "p2.png", "p3.png", "p4.png",
    ]  # fmt: skip
    first = json.loads((tmp_path / "s" / "captions.jsonl").read_text().splitlines()[0])
    assert first["columns"] == 2 and [panel["label"] for panel in first["panels"]] == list("WXYZ")


def test_report_gathers_runs(command: Command, model: str, strips: Path, tmp_path: Path) -> None:
    runs, page = tmp_path / "runs", tmp_path / "page.html"
    assert command("discover", "--model", model, "--strips", strips, "--out", runs)[0] == 0
    code, _, err = command("report", runs, "--out", page)
    assert code == 0, err
    assert "The heads that look" in page.read_text()


def test_a_model_that_does_not_exist(command: Command, strips: Path, tmp_path: Path) -> None:
    out = tmp_path / "runs"
    for name in ("./nowhere", "no-such-org/no-such-model", str(tmp_path)):
        for verb in ("run", "discover"):
            line = refused(
                command, tmp_path, verb, "--model", name, "--strips", strips, "--out", out
            )
            assert name in line
        refused(command, tmp_path, "steer", strips, "--model", name)


def test_bad_strips_folders(command: Command, model: str, tmp_path: Path) -> None:
    def told(folder: Path) -> str:
        about = ("--model", model, "--strips", folder, "--out", tmp_path / "runs")
        lines = {refused(command, tmp_path, verb, *about) for verb in ("run", "discover")}
        lines.add(refused(command, tmp_path, "steer", folder, "--model", model))
        (line,) = lines
        return line

    empty = tmp_path / "empty"
    empty.mkdir()
    assert "no comics" in told(empty)
    gap = write_strips(tmp_path / "gap", draw_strips(1, 1, 3, size=32))
    (gap / "comic1" / "p2.png").unlink()
    assert "p2.png is missing" in told(gap)
    corrupt = write_strips(tmp_path / "corrupt", draw_strips(1, 1, 3, size=32))
    (corrupt / "comic1" / "p3.png").write_bytes(b"no picture")
    assert "p3.png is not a readable image" in told(corrupt)


def test_a_strips_folder_that_does_not_exist(command: Command, model: str, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    line = refused(command, tmp_path, "run", "--model", model, "--strips", gone, "--out", tmp_path)
    assert "no folder" in line
    assert "not found" in refused(command, tmp_path, "steer", gone, "--panel", 1, "--panels", 2)


def test_strips_the_label_judge_cannot_judge(command: Command, model: str, tmp_path: Path) -> None:
    scanned = write_strips(tmp_path / "scanned", draw_strips(1, 1, 2, size=32))
    (scanned / "captions.jsonl").unlink()
    words = ("run", "--model", model, "--strips", scanned, "--out", tmp_path / "runs")
    assert "label judge" in refused(command, tmp_path, *words)
    assert "caption judge" in refused(command, tmp_path, *words, "--judge", "caption")


def test_a_corrupt_image(command: Command, model: str, tmp_path: Path) -> None:
    picture = tmp_path / "picture.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n but not really")
    for verb in ("steer", "watch"):
        line = refused(command, tmp_path, verb, picture, "--model", model, "--panels", 2)
        assert "picture.png" in line


def test_places_that_are_not_in_the_picture(command: Command, strips: Path, tmp_path: Path) -> None:
    picture = strips / "comic1" / "p1.png"
    for words, told in (
        ((strips, "--panel", 3), "panels 1 to 2"),
        ((strips, "--panel", 0), "no panel 0"),
        ((strips, "--comic", 9), "no comic '9'"),
        ((picture,), "--box"),
        ((picture, "--box", "0,0,99,9"), "outside"),
        ((picture, "--box", "5,5,2,9"), "empty"),
        ((picture, "--box", "1,2,3"), "x0,y0,x1,y1"),
        ((picture, "--box", "0,0,9,9", "--panel", 1), "not both"),
    ):
        # found before a model is loaded: the one named here does not exist
        assert told in refused(command, tmp_path, "steer", *words, "--model", "./nowhere")


def test_more_heads_than_the_model_has(
    command: Command, model: str, strips: Path, tmp_path: Path
) -> None:
    about = ("--model", model, "--k", 17)
    runs = ("--strips", strips, "--out", tmp_path / "runs")
    for words in (("run", *runs), ("discover", *runs), ("steer", strips), ("watch", strips)):
        assert "16 heads" in refused(command, tmp_path, *words, *about)


def test_heads_of_another_model(command: Command, model: str, strips: Path, tmp_path: Path) -> None:
    where = (4, 4)
    other = HeadSet(((0, 0),), "gaze", "another-model", where, "v1-other").save(tmp_path / "o.json")
    old = HeadSet(((0, 0),), "gaze", "another-model", where).save(tmp_path / "old.json")
    wider = HeadSet(((0, 9),), "gaze", "", (4, 16)).save(tmp_path / "wider.json")
    scores = HeadScores(np.ones((2, 2)), provenance={"model": "third"}).save(tmp_path / "s.json")
    (tmp_path / "text.json").write_text("no heads")
    for file, told in (
        (other, "v1-other"),
        (wider, "4 layers x 16 heads"),
        (scores, "third"),
        (tmp_path / "text.json", "not a JSON file"),
        (tmp_path / "gone.json", "cannot read"),
    ):
        for verb in ("steer", "watch"):
            words = (verb, strips, "--model", model, "--heads", file)
            said = refused(command, tmp_path, *words)
            assert told in said and ("--heads-anyway" in said) == (file == other)
    few = ("--model", model, "--panel", 1, "--max-new-tokens", 1)
    code, _, err = command("steer", strips, *few, "--heads", other, "--heads-anyway")
    assert code == 0 and "Note: head" not in err, err
    assert "4 layers x 16 heads" in refused(
        command, tmp_path, "steer", strips, *few, "--heads", wider, "--heads-anyway"
    )
    code, _, err = command("steer", strips, *few, "--heads", old)
    assert code == 0 and err.count("another-model") == 1 and "Note: head set 'gaze'" in err, err


def test_an_output_folder_that_cannot_be_written_is_found_before_the_work(
    command: Command, strips: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    taken = tmp_path / "file" / "runs"
    for words in (
        ("run", "--out", taken, "--model", "./nowhere"),
        ("discover", "--out", taken, "--model", "./nowhere"),
        ("watch", strips, "--out", taken, "--model", "./nowhere"),
        ("strips", "write", taken, "--count", 100_000),
        ("report", tmp_path / "no-runs", "--out", taken / "report.html"),
    ):
        assert "cannot write" in refused(command, tmp_path, *words)


def test_strips_write_refuses_what_it_cannot_draw(command: Command, tmp_path: Path) -> None:
    new = tmp_path / "new"
    write = ("strips", "write", new, "--count", 1)
    assert "1 to 12 panels" in refused(command, tmp_path, *write, "--panels", 99)
    assert "labels" in refused(command, tmp_path, *write, "--labels", "AB")
    new.mkdir()
    (new / "mine").write_text("")
    assert "not an empty folder" in refused(command, tmp_path, *write)


def test_reports_need_runs(command: Command, tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    page = ("--out", tmp_path / "report.html")
    assert "no runs" in refused(command, tmp_path, "report", tmp_path / "runs", *page)
    assert "no folder" in refused(command, tmp_path, "report", tmp_path / "gone", *page)


@pytest.mark.parametrize(
    "words",
    [
        ("frobnicate",),
        ("run", "--frob"),
        ("steer",),
        ("run", "--limit", "many"),
        ("run", "--seed", -1),
    ],
)
def test_wrong_usage_is_one_line(command: Command, tmp_path: Path, words: tuple[Any, ...]) -> None:
    refused(command, tmp_path, *words)


def test_an_interrupt_is_130(
    command: Command, strips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(resolve, "shown_at", interrupt)
    code, out, err = command("steer", strips)
    assert (code, out, err) == (130, "", "gazeheads: interrupted\n")


def test_help_and_version_are_quick_because_torch_is_not_loaded(command: Command) -> None:
    code, out, _ = command("--help")
    assert code == 0
    for name in ("run", "discover", "steer", "watch", "strips", "report", "tiny", "judge"):
        assert name in out
    assert command("--version")[1].count(".") == 2
    check = "import sys, gazeheads.cli.main; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


def test_every_command_that_takes_heads_takes_other_ones_when_told_to(command: Command) -> None:
    from typer.main import get_command

    from gazeheads.cli.main import app

    def every(group: Any) -> dict[str, Any]:
        found = {}
        for name, own in group.commands.items():
            found |= every(own) if hasattr(own, "commands") else {name: own}
        return found

    options = {
        name: {text for each in own.params for text in each.opts}
        for name, own in every(get_command(app)).items()
    }
    taking = {name for name, own in options.items() if "--heads" in own}
    assert {"steer", "watch", "steer-vqa", "demo", "web"} <= taking
    assert taking == {name for name, own in options.items() if "--heads-anyway" in own}
