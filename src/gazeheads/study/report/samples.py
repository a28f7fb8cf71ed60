"""Every answer of the stored runs, as the page's viewer reads them: one at a time, by filter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from gazeheads.study.experiment import registry
from gazeheads.study.experiments import steer_vqa
from gazeheads.study.experiments.counting import ALL, GAZE, RANDOM
from gazeheads.study.report.blocks import AnswerCell, answer_of, colour_of, crop_css
from gazeheads.study.report.chapters import Bundle
from gazeheads.study.report.embedding import LISTED_WIDTH, Pictures
from gazeheads.study.report.naming import heads_called, named_by
from gazeheads.study.runs import RunFolder

MOST_PICTURES = 60
"""In a page: those of its examples, and then of other strips until so many are there."""
MOST_STRIPS = 20
"""Of one run, or of one variant of a sweep."""
NEW_IN_A_VARIANT = 2
"""Strips of a variant that the page does not show otherwise."""
UNSTEERED = "unsteered"
KNOWN = (GAZE, RANDOM, ALL)
"""Conditions that are called heads of a kind; others are rankings."""


@dataclass(frozen=True)
class Group:
    """Samples that are chosen together: those of a run, or of one variant of a sweep."""

    title: str
    judge: str
    prompt: str


@dataclass(frozen=True)
class SampleText:
    """One text about one strip.

    Attributes:
        strip: name of the strip.
        kept: what the record says about it.
        heads: that were steered, in words.
        target: panel they were pointed at; None: nothing was steered.
        text: what the model said.
        judged: the verdict on it.
        kind: of verdict, to filter by.
        beside: the unsteered text.
    """

    strip: str
    kept: dict[str, Any]
    heads: str
    target: int | None
    text: str
    judged: AnswerCell
    kind: str
    beside: str


@dataclass
class Samples:
    """What the viewer reads: everything that repeats is there once and named by its place.

    Attributes:
        values: for the page's script.
        left_out: runs of which only the first strips are there, in words.
    """

    values: dict[str, list[Any]] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    _places: dict[str, dict[Any, int]] = field(default_factory=dict)

    def place(self, kind: str, value: Any, key: Any = None) -> int:
        """Where a value stands in its list; it is put there if it is new."""
        listed, places = self.values.setdefault(kind, []), self._places.setdefault(kind, {})
        known = value if key is None else key
        if known not in places:
            places[known] = len(listed)
            listed.append(value)
        return places[known]


def samples_of(bundles: Sequence[Bundle], pictures: Pictures) -> Samples | None:
    """All steered answers, unsteered ones and judged segments; None if no run has any.

    Of several draws of random heads the first is taken.

    Args:
        bundles: of the report.
        pictures: of the page; those of strips that it does not show yet are added, made small.
    """
    found = Samples()
    for bundle in bundles:
        runs = sorted(bundle.runs.values(), key=lambda run: run.experiment != steer_vqa.EXPERIMENT)
        for run in runs:
            with named_by(run.settings):
                _add(found, run, bundle.title if len(bundles) > 1 else "", pictures)
    return found if found.values else None


def _add(found: Samples, run: RunFolder, chapter: str, pictures: Pictures) -> None:
    taken: dict[Group, set[str]] = {}
    seen: dict[Group, set[str]] = {}
    for record in run.ordered():
        if "strip" not in record or not ("answers" in record or "narrations" in record):
            continue
        group, strip = _group(run, record, chapter), _strip_name(record)
        seen.setdefault(group, set()).add(strip)
        own, path = taken.setdefault(group, set()), run.path / record["strip"]["picture"]
        room = len(pictures) < MOST_PICTURES and (
            "variant" not in record or len(own) < NEW_IN_A_VARIANT
        )
        if len(own) >= MOST_STRIPS or not (room or pictures.has(path)):
            continue
        own.add(strip)
        picture = pictures.name(path, LISTED_WIDTH)
        of_group = found.place("groups", [group.title, group.judge, group.prompt], group)
        for sample in _of_record(record, strip):
            _append(found, of_group, picture, sample)
    found.left_out += [
        f"{group.title}: the first {len(taken[group])} of {len(strips)} strips"
        for group, strips in seen.items()
        if len(taken[group]) < len(strips)
    ]


def _append(found: Samples, group: int, picture: str, sample: SampleText) -> None:
    kept = sample.kept
    boxes = tuple(tuple(box) for box in kept["panels"])
    layout = found.place(
        "layouts", [crop_css(box, kept["aspect"]) for box in boxes], (kept["aspect"], boxes)
    )
    captions = kept["captions"] or [""] * len(boxes)
    strip = found.place(
        "strips", [sample.strip, picture, layout, captions], (sample.strip, picture)
    )
    judged = (sample.judged.told, sample.judged.mark, sample.judged.colour)
    row = [
        group,
        strip,
        found.place("heads", sample.heads),
        sample.target or 0,
        found.place("texts", sample.text),
        found.place("kinds", sample.kind),
        found.place("verdicts", list(judged), judged),
        found.place("texts", sample.beside),
    ]
    found.values.setdefault("rows", []).append(row)


def _group(run: RunFolder, record: dict[str, Any], chapter: str) -> Group:
    known = registry().get(run.experiment)
    title = run.experiment if known is None else known.title
    settings, variant = run.settings, record.get("variant")
    for own in settings.get("variants", ()):
        if own.get("name") == variant:
            settings = own
    parts = [part for part in (chapter, title, variant) if part]
    judge = settings.get("judge", run.settings.get("judge", "label"))
    return Group(": ".join(parts), judge, settings.get("prompt") or "")


def _strip_name(record: dict[str, Any]) -> str:
    return str(record["unit"]).removeprefix(f"{record.get('variant')}: ")


def _of_record(record: dict[str, Any], strip: str) -> Iterator[SampleText]:
    kept = record["strip"]
    if "narrations" in record:
        for name, told in record["narrations"].items():
            for target, segment in zip(record["schedule"], told["segments"], strict=True):
                heads = f"{heads_called(name) if name in KNOWN else name}, on schedule"
                yield _sample(strip, kept, heads, target, segment, record["unsteered"])
        return
    beside = record["baseline"]["text"]
    yield _sample(strip, kept, UNSTEERED, None, record["baseline"], "")
    for answer in record["answers"]:
        if not answer.get("draw", 0):
            yield _sample(
                strip, kept, _heads(answer["condition"]), answer["target"], answer, beside
            )


def _sample(
    strip: str,
    kept: dict[str, Any],
    heads: str,
    target: int | None,
    judged: dict[str, Any],
    beside: str,
) -> SampleText:
    told = answer_of(judged, target)
    text, kind = judged["text"], _kind(told, judged, target)
    return SampleText(strip, kept, heads, target, text, told, kind, beside)


def _kind(told: AnswerCell, judged: dict[str, Any], target: int | None) -> str:
    """What became of an answer, in the words of the filter."""
    if told.mark in ("hit", "part"):
        return "hit" if told.mark == "hit" else "hit, not clean"
    if judged["reason"] == "described":
        return "describes one panel" if target is None else "describes another panel"
    return told.told


def _heads(key: str) -> str:
    """A condition in words: "gaze-12" is 12 gaze heads; others keep their names."""
    name, _, number = key.rpartition("-")
    if not name or not number.isdigit():
        return f"{heads_called()}, strength {key}"
    if name == ALL:
        return heads_called(ALL)
    return heads_called(name, int(number)) if name in KNOWN else f"{number} heads by {name}"


def colours(samples: Samples) -> list[str]:
    """The colour of every panel that a strip of the samples has, from the first on."""
    most = max(len(layout) for layout in samples.values["layouts"])
    return [colour_of(panel) for panel in range(1, most + 1)]
