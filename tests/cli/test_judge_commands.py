"""The judge command on a stored run, with a local service."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from local_service import Answer, fault, openai_says, serving

from gazeheads.data.drawn.captions import headline
from gazeheads.data.drawn.strips import draw_strips
from gazeheads.data.strip import Strip
from gazeheads.judges import LabelJudge
from gazeheads.study.experiments import steer_dynamic
from gazeheads.study.experiments.counting import conditions_summary, unsteered_summary
from gazeheads.study.experiments.steer_dynamic import narration_record
from gazeheads.study.pictures import keep_picture
from gazeheads.study.runs import RunFolder, RunOptions

Command = Callable[..., tuple[int, str, str]]
KEY = "sk-secret-0123456789"


@pytest.fixture
def judge(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., tuple[int, str, str]]:
    """Runs `gazeheads judge` with a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return lambda *words: command("judge", *words)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A finished run: two strips of two panels; each answer is the caption of its target."""
    strips = draw_strips(2, 3, 2, size=32)
    with RunFolder.open(
        RunOptions(tmp_path / "runs"), "steer-vqa", "m", {"judge": "label"}, {}
    ) as folder:
        for strip in strips:
            folder.append(strip.id, record_of(folder, strip))
        records = list(folder.records.values())
        folder.summarise(
            {
                "conditions": conditions_summary({"gaze-1": [["L0H0"]]}, records),
                "unsteered": unsteered_summary(records),
            }
        )
    return folder


def record_of(folder: RunFolder, strip: Strip) -> dict[str, Any]:
    assert strip.truths is not None
    answers = [
        {
            "condition": "gaze-1",
            "target": target,
            "text": headline(truth),
            "panel": target,
            "reason": "described",
        }
        for target, truth in enumerate(strip.truths, 1)
    ]
    baseline = {"text": "", "panel": None, "reason": "junk"}
    return {"strip": keep_picture(folder.path, strip), "baseline": baseline, "answers": answers}


def first_panel(number: int, body: Any) -> Answer:
    return openai_says({"reasoning": "looks so", "junk": False, "panel": 1})


def test_the_label_judge_again(judge: Command, run: RunFolder, tmp_path: Path) -> None:
    code, out, err = judge(run.path, "--judge", "label")
    assert code == 0, err
    assert "gaze-1" in out and "100.0%  of 4 (was 100.0%)" in out
    judged = tmp_path / "runs-by-label" / "steer-vqa" / "m"
    assert out.splitlines()[-1] == f"Run: {judged}"
    assert json.loads((judged / "summary.json").read_text())["settings"]["judge"] == "label"


def test_the_llm_judge_from_plan_to_rerun(
    judge: Command, run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    with serving(first_panel) as service:
        about = ("--judge", "llm", "--model", "m-1", "--base-url", service.url)
        words = (run.path, *about, "--key-env", "MY_KEY", "--prices", "3,15")
        code, out, err = judge(*words, "--dry-run")
        assert code == 0, err
        assert "4 texts to judge, 4 calls to" in out
        assert service.heard == [] and not (tmp_path / "cache").exists()
        assert not list(tmp_path.glob("runs-by-*"))
        code, out, err = judge(*words)
        assert code == 0, err
        assert "50.0%  of 4 (was 100.0%)" in out and "same panel as judged before: 50.0%" in out
        assert "Used: 4 calls, 400 tokens in, 40 tokens out, $0.0018" in out
        # the verdicts are kept, so another folder of the same run costs nothing
        code, out, err = judge(*words, "--out", tmp_path / "again")
        assert code == 0 and "Used: 0 calls" in out, err
        assert "0 calls to" in judge(*words, "--dry-run")[1]
        assert len(service.heard) == 4
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or KEY.encode() not in path.read_bytes()


def test_a_dynamic_run_is_judged_again_text_by_text_blind_to_the_schedule(
    judge: Command, tmp_path: Path
) -> None:
    (strip,) = draw_strips(1, 5, 2, size=32)
    assert strip.truths is not None
    one, two = (headline(truth) for truth in strip.truths)
    pieces = [f"{two}.", " ", f"{one}.", ""]
    order, settings = [2, 1], {"judge": "label", "segment": 2, "head_sets": {"gaze": [["L0H0"]]}}
    options = RunOptions(tmp_path / "runs")
    with RunFolder.open(options, "steer-dynamic", "m", {**settings, "panels": 2}, {}) as run:
        told = narration_record(LabelJudge(), strip, order, "".join(pieces), pieces, 2)
        kept = {"strip": keep_picture(run.path, strip), "schedule": order, "unsteered": ""}
        run.append(strip.id, {**kept, "narrations": {"gaze": told}})
        run.finish(steer_dynamic.results)
    assert run.summary["results"]["sets"][0]["segments"]["value"] == 1

    def first_panel_always(number: int, body: Any) -> Answer:
        text = body["messages"][0]["content"][1]["text"]
        assert "schedule" not in text and "2, 1" not in text
        segments = {"segment_1": 1, "segment_2": 1} if "<segments>" in text else {}
        return openai_says({"reasoning": "", **(segments or {"junk": False, "panel": 1})})

    with serving(first_panel_always) as service:
        words = ("--judge", "llm", "--model", "m-1", "--base-url", service.url)
        assert "3 texts to judge, 3 calls" in judge(run.path, *words, "--dry-run")[1]
        code, out, err = judge(run.path, *words)
    assert code == 0, err
    assert len(service.heard) == 3  # the text in segments, and its two sentences
    assert "50.0%  of 2 (was 100.0%)" in out and "same panel as judged before: 50.0%" in out


def test_a_service_that_fails_is_one_line_and_leaves_no_summary(
    judge: Command, run: RunFolder, tmp_path: Path
) -> None:
    with serving(lambda n, body: fault(400, "no such model")) as service:
        about = ("--judge", "llm", "--model", "m-1", "--base-url", service.url)
        code, out, err = judge(run.path, *about)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1 and "HTTP 400: no such model" in err
    assert not list(tmp_path.glob("runs-by-*/**/summary.json"))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--judge", "llm"), "--model"),
        (("--judge", "llm", "--model", "m", "--base-url", "here"), "http://"),
        (("--judge", "llm", "--model", "m", "--prices", "cheap"), "--prices"),
        (("--judge", "llm", "--model", "m"), "OPENAI_API_KEY"),
        (("--judge", "oracle"), "oracle"),
        ((), "--judge"),
    ],
)
def test_wrong_usage_is_one_line_and_writes_nothing(
    judge: Command, run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...], told: str,
) -> None:  # fmt: skip
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    before = sorted(tmp_path.rglob("*"))
    code, out, err = judge(run.path, *words)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1 and told in err
    assert sorted(tmp_path.rglob("*")) == before
