"""The commands of the experiments: options in common, refusals, and everything at once."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Command
from local_service import Answer, openai_says, serving
from PIL import Image
from results_page import check_csv, table

from gazeheads.data.drawn.strips import draw_strips
from gazeheads.data.folders import write_strips
from gazeheads.data.strip import Strip
from gazeheads.study.experiment import registry
from gazeheads.study.runs import RunFolder, find_runs

EXPERIMENTS = (
    "steer-vqa", "steer-narration", "sweeps", "head-sets", "steer-dynamic", "staircase",
    "reading-order", "discover-layouts", "coco", "reproduce", "models",
)  # fmt: skip


@pytest.fixture(scope="module")
def strips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("strips") / "drawn"
    return write_strips(folder, draw_strips(2, 9, 2, size=32))


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_has_the_options_in_common(command: Command, name: str) -> None:
    code, out, _ = command(name, "--help")
    assert code == 0
    for option in ("--model", "--strips", "--heads", "--k", "--limit", "--seed", "--shard"):
        assert option in out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("steer-vqa", "--shard", "3/2"), "shard 3/2"),
        (("sweeps", "colour"), "choose from k, delta, prompts, pools, panels"),
        (("reading-order", "--strips", "STRIPS"), "draws strips of its own"),
        (("reproduce", "--shard", "1/2"), "cannot be split"),
        (("head-sets", "--heads", "STRIPS/captions.jsonl"), "captions.jsonl"),
        (("steer-vqa", "--k", "99", "--model", "MODEL"), "K = 99"),
        (("coco", "--coco", "STRIPS", "--k", "1", "--model", "MODEL", "--heads", "SCORES"), "val"),
        (("models", "MODEL", "MODEL"), "named twice"),
        (("merge", "OUT"), "no folder"),
        (("steer-vqa", "--strips", "NOWHERE"), "NOWHERE"),
        (("steer-vqa", "--strips", "BARE"), "choose --judge caption if it has captions, else"),
        (("steer-vqa", "--strips", "BARE", "--judge", "caption"), "choose --judge llm"),
        (("sweeps", "--judge", "llm"), "--judge-model"),
        (("sweeps", "--judge-model", "m"), "add --judge llm"),
        (("sweeps", "--judge", "oracle"), "oracle"),
        (("sweeps", "--judge", "llm", "--judge-model", "m"), "OPENAI_API_KEY"),
        (("coco", "--judge", "caption"), "needs no judge"),
        (("steer-vqa", "--limit", "0"), "--limit"),
        (("steer-dynamic", "--heads", "OTHERS", "--model", "MODEL"), "layers"),
        (("staircase", "--model", "NOWHERE"), "NOWHERE"),
        (("staircase", "--heads", "NOWHERE"), "NOWHERE"),
    ],
)
def test_wrong_input_is_one_line_and_leaves_nothing(
    command: Command,
    model: str,
    strips: Path,
    scores: Path,
    bare: Path,
    others: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    told: str,
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    out = tmp_path / "runs"
    names = {
        "STRIPS": str(strips), "MODEL": model, "OUT": str(out), "SCORES": str(scores),
        "BARE": str(bare), "OTHERS": str(others), "NOWHERE": str(tmp_path / "NOWHERE"),
    }  # fmt: skip
    for name, value in names.items():
        words = tuple(word.replace(name, value) for word in words)
    rest = () if words[0] == "merge" else ("--out", str(out))
    code, said, err = command(*words, *rest)
    assert (code, said) == (2, "")
    last = err.splitlines()[-1]
    assert last.startswith("gazeheads: ") and told in last
    assert not out.exists()


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_folder_that_cannot_be_written_is_one_line(
    command: Command, name: str, model: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    extra = (model,) if name == "models" else ()
    code, said, err = command(name, *extra, "--out", tmp_path / "file" / "runs")
    assert (code, said, err.count("\n")) == (2, "", 1)
    assert err.startswith("gazeheads: cannot write to ")


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Strips of which nothing but the pictures is known."""
    folder = tmp_path_factory.mktemp("bare") / "strips"
    write_strips(folder, draw_strips(2, 9, 2, size=32))
    (folder / "captions.jsonl").unlink()
    return folder


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scores of a model with other layers."""
    import numpy as np

    from gazeheads.heads import HeadScores

    path = tmp_path_factory.mktemp("others") / "scores.json"
    return HeadScores(np.full((9, 4), 0.5), provenance={"model": "other"}).save(path)


@pytest.fixture(scope="module")
def scores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import numpy as np

    from gazeheads.heads import HeadScores

    table = np.linspace(0.5, 0, 16).reshape(4, 4)
    provenance = {"model": "tiny-random"}
    path = tmp_path_factory.mktemp("scores") / "scores.json"
    return HeadScores(table, provenance=provenance).save(path)


def test_scores_of_other_weights_need_a_word(
    command: Command, model: str, strips: Path, scores: Path, tmp_path: Path
) -> None:
    from gazeheads.heads import HeadScores

    other = HeadScores.load(scores).forced("tiny-random", "v1-0").save(tmp_path / "other.json")
    words = ("steer-vqa", "--model", model, "--strips", strips, "--k", 2, "--out", tmp_path / "out")
    code, out, err = command(*words, "--heads", other)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "weights v1-0" in err and "--heads-anyway" in err
    code, out, err = command(*words, "--heads", other, "--heads-anyway")
    assert code == 0 and "Note: head" not in err, err


def test_two_shards_and_a_merge_equal_one_run(
    command: Command, model: str, strips: Path, scores: Path, tmp_path: Path
) -> None:
    words = (
        "steer-vqa", "--model", model, "--strips", strips, "--heads", scores, "--k", 2,
    )  # fmt: skip
    for shard in ("1/2", "2/2"):
        code, out, err = command(*words, "--shard", shard, "--out", tmp_path / "parts")
        assert code == 0, err
        assert f"Shard {shard}, to be merged" in out
    code, out, err = command("merge", tmp_path / "parts", "--out", tmp_path / "merged")
    assert code == 0, err
    assert "How often the answer follows" in out and "random heads (2)" in out
    assert command(*words, "--out", tmp_path / "whole")[0] == 0
    for name in ("records.jsonl", "summary.json"):
        merged, whole = (tmp_path / o / "steer-vqa/tiny-random" / name for o in ("merged", "whole"))
        assert merged.read_bytes() == whole.read_bytes()


def test_a_command_killed_with_9_and_given_again_equals_an_uninterrupted_one(
    command: Command, model: str, scores: Path, tmp_path: Path
) -> None:
    many = write_strips(tmp_path / "strips", draw_strips(12, 9, 2, size=32))
    words = ["steer-vqa", "--model", model, "--strips", many, "--heads", scores, "--k", 2]
    path = tmp_path / "cut" / "steer-vqa" / "tiny-random"
    line = [sys.executable, "-m", "gazeheads.cli", *map(str, words), "--out", str(tmp_path / "cut")]
    with subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while not (path / "records.jsonl").exists() or (path / "records.jsonl").stat().st_size == 0:
            assert process.poll() is None
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    assert not (path / "summary.json").exists()
    for out in ("cut", "whole"):
        code, _, err = command(*words, "--out", tmp_path / out)
        assert code == 0, err
    for name in ("settings.json", "records.jsonl", "summary.json"):
        whole = tmp_path / "whole" / "steer-vqa" / "tiny-random" / name
        assert (path / name).read_bytes() == whole.read_bytes()


def test_a_command_gives_the_same_run_whatever_lies_in_the_folder(
    command: Command, model: str, strips: Path, tmp_path: Path
) -> None:
    words = ("--model", model, "--strips", strips)
    assert command("steer-vqa", *words, "--out", tmp_path / "alone")[0] == 0
    out = ("--out", tmp_path / "busy")
    # a discovery on fewer strips and of another seed, and a sweep whose peak is another K
    assert command("discover", *words, "--limit", 1, "--seed", 7, *out)[0] == 0
    assert command("sweeps", "k", *words, *out)[0] == 0
    code, _, err = command("steer-vqa", *words, *out)
    assert code == 0, err
    assert "1 of 16 heads (the study's share of all heads)" in err
    for name in ("settings.json", "records.jsonl", "summary.json"):
        alone, busy = (tmp_path / o / "steer-vqa/tiny-random" / name for o in ("alone", "busy"))
        assert alone.read_bytes() == busy.read_bytes()
    # the main job too, for all that it builds on
    (tmp_path / "busy" / "steer-vqa").rename(tmp_path / "aside")
    code, _, err = command("run", *words, "--limit", 2, *out)
    assert code == 0, err
    found = {run.path.parent.name for run in find_runs([tmp_path / "busy"]) if run.derived}
    assert found == {"tiny-random"}
    code, _, err = command("report", tmp_path / "busy", "--out", tmp_path / "page.html")
    assert code == 0 and "Left out: " in err and "name it to have it too" in err
    assert "How often the answer follows" in (tmp_path / "page.html").read_text()


def test_the_discovery_of_the_command_serves_the_others_with_the_same_options(
    command: Command, model: str, tmp_path: Path
) -> None:
    words = ("--model", model, "--limit", 1, "--seed", 3, "--out", tmp_path)
    assert command("discover", *words)[0] == 0
    code, _, err = command("staircase", *words, "--k", 2)
    assert code == 0, err
    assert f"by {tmp_path / 'discover' / 'tiny-random'}\n" in err
    assert not [run for run in find_runs([tmp_path]) if run.derived]
    # what it did not make itself, --fresh leaves alone: it makes a discovery of its own
    code, _, err = command("staircase", *words, "--k", 2, "--fresh")
    assert code == 0 and "Finding gaze heads: 1 in" in err
    (derived,) = (run for run in find_runs([tmp_path]) if run.derived)
    own = RunFolder(tmp_path / "discover" / "tiny-random")
    assert derived.records == own.records and derived.settings == own.settings


def test_as_many_strips_are_opened_as_are_used(
    command: Command, model: str, scores: Path, tmp_path: Path
) -> None:
    many = write_strips(tmp_path / "strips", draw_strips(5, 9, 2, size=32))
    for comic in range(2, 6):
        (many / f"comic{comic}" / "p1.png").write_bytes(b"never opened")
    words = ("steer-vqa", "--model", model, "--strips", many, "--heads", scores, "--k", 2)
    code, _, err = command(*words, "--limit", 1, "--out", tmp_path / "runs")
    assert code == 0, err
    code, _, err = command(*words, "--limit", 2, "--out", tmp_path / "more")
    assert code == 2 and "p1.png is not a readable image" in err


def test_a_moving_gaze_judged_by_an_llm_blind_to_the_schedule(
    command: Command,
    model: str,
    strips: Path,
    scores: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def second_panel(number: int, body: Any) -> Answer:
        names = body["response_format"]["json_schema"]["schema"]["required"]
        choice = {"junk": False, "panel": 2} if "panel" in names else dict.fromkeys(names, 2)
        return openai_says({**choice, "reasoning": ""})

    with serving(second_panel) as service:
        words = (
            "steer-dynamic", "--model", model, "--strips", strips, "--heads", scores, "--k", 2,
            "--segment", 3, "--judge", "llm", "--judge-model", "m-1", "--judge-base-url",
            service.url,
        )  # fmt: skip
        code, _, err = command(*words, "--out", tmp_path / "one")
        assert code == 0, err
        assert (calls := len(service.heard)) > 0
        code, _, err = command(*words, "--out", tmp_path / "two")
        assert code == 0 and len(service.heard) == calls, err  # the verdicts are kept
    folders = [tmp_path / name / "steer-dynamic" / "tiny-random" for name in ("one", "two")]
    one, two = ((folder / "records.jsonl").read_bytes() for folder in folders)
    assert one == two
    told = json.loads((folders[0] / "settings.json").read_text())["settings"]
    assert told["judge"] == "llm:openai:m-1"
    assert told["judge_settings"] == {"url": service.url, "temperature": None}
    for record in RunFolder(folders[0]).records.values():
        segments = [s for own in record["narrations"].values() for s in own["segments"]]
        assert {s["panel"] for s in segments if s["reason"] != "junk"} <= {2}
    # another judge is another run
    code, _, err = command(*words[:11], "--out", tmp_path / "one")
    assert code == 2 and "other settings (judge" in err


def test_models_stand_side_by_side(
    command: Command, model: str, strips: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other-random"
    shutil.copytree(model, other)
    code, out, err = command(
        "models", model, other, "--strips", strips, "--limit", 1, "--k", 2, "--out", tmp_path / "r"
    )
    assert code == 0, err
    text = Path(out.strip().splitlines()[-1].removeprefix("Report: ")).read_text()
    assert "tiny-random, here" in text and "other-random, here" in text
    assert "LLaVA-1.5-13B, published" in text
    rows = (tmp_path / "r" / "models" / "models.csv").read_text().splitlines()
    assert len(rows) == 1 + 2 * 3 and rows[1].startswith("tiny-random,16,gaze,2,accuracy,")
    for file in tmp_path.rglob("*.csv"):
        check_csv(file)
    assert (tmp_path / "r" / "models" / "depth.pdf").read_bytes()[:4] == b"%PDF"


class SentElsewhere:
    """Does here what a worker of a cluster is sent, from nothing but that."""

    def done(self, do: Any, parts: Any) -> Iterator[tuple[int, Any]]:
        from gazeheads.models import load
        from gazeheads.study.parcels import FolderElsewhere, NamedModel, packed, unpacked

        def model(asked: NamedModel) -> Any:
            return load(asked.name, **asked.options)

        def folder(home: str) -> FolderElsewhere:
            own = FolderElsewhere(home)
            own.path = Path(home)
            return own

        sent = unpacked(packed(do), model, folder)
        for number, part in enumerate(parts):
            yield number, sent(unpacked(packed(part), model, folder))


@pytest.mark.slow
def test_everything_at_once_ends_with_one_report(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # whatever an experiment does can be sent to a worker
    monkeypatch.setattr("gazeheads.cli.cluster_options.Cluster.workers", SentElsewhere())
    words = ("reproduce", "--quick", "--limit", 1, "--out", tmp_path)
    code, out, err = command(*words)
    assert code == 0, err
    assert "of answers follow when" in out  # the headline
    report = Path(out.strip().splitlines()[-1].removeprefix("Report: "))
    text = report.read_text()
    runs = {run.experiment: run for run in find_runs([tmp_path])}
    assert set(runs) == set(registry())
    code, planned, _ = command(*words[:-2], "--plan", "--card", "h100", "--json")
    told = {each["experiment"]: each["units"] for each in json.loads(planned)["experiments"]}
    assert code == 0 and told == {name: len(run.records) for name, run in runs.items()}
    for run in runs.values():
        # a summary follows from settings and records alone
        told = json.loads(json.dumps(registry()[run.experiment].summarise(run)))
        assert told == run.summary["results"]
        named = table("| experiment | its results")[run.experiment]
        assert set(told) == set(named), f"docs/results.md: {run.experiment}"
    for file in tmp_path.rglob("*.csv"):
        check_csv(file)
    for part in ("heads", "how-many", "delta", "head-sets", "dynamic", "reading-order", "objects"):
        assert f'id="{part}"' in text
    assert text.count("another and far larger model") >= 6


MEMORY = """
import resource, sys
from pathlib import Path
from gazeheads.data.folders import read_strips
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
strips = read_strips(Path(sys.argv[1]))
assert [len(strip) for strip in strips] == [4] * 12
for strip in strips:
    assert all(panel.size == (1024, 1024) for panel in strip.panels)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def test_many_strips_take_the_memory_of_a_few(tmp_path: Path) -> None:
    blank = Image.effect_noise((1024, 1024), 30).convert("RGB")  # 3 MiB each
    folder = write_strips(tmp_path / "s", (Strip(f"s{i}", (blank,) * 4) for i in range(12)))
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(folder)], capture_output=True, text=True, check=True
    )
    assert float(done.stdout) < 48  # of 144 MiB
