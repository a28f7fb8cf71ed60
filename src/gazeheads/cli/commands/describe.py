"""``gazeheads describe``: what a model says about parts of pictures."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gazeheads import prompts
from gazeheads.cli import region_options as given
from gazeheads.cli.heads_options import Heads, HeadsAnyway, K, Model, Seed
from gazeheads.cli.strength_options import DeltaOption, ModeOption, Strength
from gazeheads.files import json_text, write_text

if TYPE_CHECKING:
    from gazeheads.cli.picture_tasks import PictureTask
    from gazeheads.heads import HeadSet
    from gazeheads.models import VLM
    from gazeheads.models.closer import Closer

SETTINGS, RESULTS = "settings.json", "descriptions.jsonl"
KIND, KIND_OF_ALL = "region-descriptions", "region-descriptions-of-pictures"

Prompt = Annotated[str, typer.Option("--prompt", "--question", help="What is asked.")]


@dataclass(frozen=True)
class _Folder:
    """Where descriptions are kept; one file per picture, whole or not there."""

    path: Path

    def begin(self, asked: dict[str, Any], overwrite: bool) -> None:
        """Raises GazeheadsError if it holds descriptions made with other settings."""
        from gazeheads.errors import GazeheadsError
        from gazeheads.files import read_json, write_json

        settings = self.path / SETTINGS
        if settings.exists() and not overwrite:
            before = read_json(settings, "describe-settings")
            differs = [key for key in asked if before.get(key) != asked[key]]
            if differs:
                raise GazeheadsError(
                    f"{self.path} holds descriptions with another {' and '.join(differs)}: choose "
                    "another --out, or replace them with --overwrite"
                )
        write_json(settings, {"kind": "describe-settings", **asked})

    def known(self, task: PictureTask, asked: dict[str, Any]) -> dict[str, Any] | None:
        """What was written about the very same picture before."""
        path = self.path / f"{task.name}.json"
        try:
            data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        same = isinstance(data, dict) and data.get("asked") == asked
        return data if same and data.get("pixels") == task.pixels else None


def describe_command(
    images: Annotated[
        list[Path] | None, typer.Argument(help="Images, or folders of them; none: a drawn scene.")
    ] = None,
    region: given.RegionsOption = None,
    mask: given.MasksOption = None,
    grid: given.GridOption = None,
    units: given.UnitsOption = None,
    rule: given.RuleOption = given.Rule.centre,
    threshold: given.ThresholdOption = None,
    when: given.WhenOption = None,
    delta: DeltaOption = None,
    mode: ModeOption = None,
    closer: given.CloserOption = given.CloserLook.none,
    prompt: Prompt = prompts.DESCRIBE_REGION,
    model: Model = "comic-tiny",
    heads: Heads = None,
    heads_anyway: HeadsAnyway = False,
    k: K = None,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Length of the texts.")] = 24,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder of figures and texts; resumable.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace what lies there of other settings.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    as_lines: Annotated[
        bool, typer.Option("--jsonl", help="Print a line of JSON per picture, when it is done.")
    ] = False,
    seed: Seed = 0,
) -> None:
    """Describe regions of pictures, with the gaze heads pointed at them and unsteered."""
    from gazeheads.cli import resolve, terminal
    from gazeheads.cli.picture_tasks import places_of, tasks_of
    from gazeheads.errors import GazeheadsError
    from gazeheads.study.runs import check_writable

    if as_json and as_lines:
        raise GazeheadsError("name either --json or --jsonl, not both")
    share, strength = resolve.overlap_share(rule, threshold), Strength(delta, mode)
    places = places_of(region, mask, grid, units)
    tasks = list(tasks_of(images or [], places, seed))
    passes = given.passes_of(when, prompt)
    asked = {
        "prompt": prompt, "model": model, "heads": resolve.heads_mark(heads), "k": k, "seed": seed,
        "regions": places.asked(), "rule": rule.value, "threshold": share, "when": passes,
        "max_new_tokens": max_new_tokens, "closer": closer.value, **strength.asked(),
    }  # fmt: skip
    folder = None if out is None else _Folder(out)
    if folder is not None:
        check_writable(folder.path)
        folder.begin(asked, overwrite)
    known = [folder.known(task, asked) if folder is not None else None for task in tasks]
    records: list[dict[str, Any]] = []
    with terminal.ProgressBars() as bars:
        asking = None
        if not all(known):
            vlm, chosen = resolve.model_and_heads(model, heads, k, seed, bars, heads_anyway, True)
            how = {**strength.of(chosen), "rule": rule.value, "threshold": share, "when": passes}
            asking = _Asking(vlm, chosen, how, prompt, max_new_tokens, closer.value)
        progress = bars("Describing")
        for task, before in zip(tasks, known, strict=True):
            records.append(before or _described(asking, task, asked, folder))
            progress(len(records), len(tasks))
            if as_lines:
                terminal.out.print(json_text(records[-1]), markup=False)
    if folder is not None:
        write_text(folder.path / RESULTS, "".join(json_text(each) + "\n" for each in records))
    if as_json:
        terminal.out.print(json_text({"kind": KIND_OF_ALL, "pictures": records}), markup=False)
    _tell(records, folder, texts=not (as_json or as_lines))


def _described(
    asking: _Asking | None, task: PictureTask, asked: dict[str, Any], folder: _Folder | None
) -> dict[str, Any]:
    """The record of a picture, on the disk if it is to be there."""
    if asking is None:
        raise ValueError("a model is loaded wherever a picture is not described yet")
    record = {**asking.record(task), "asked": asked}
    if folder is not None:
        _write(folder, task, record)
    return record


@dataclass(frozen=True, eq=False)
class _Asking:
    """A model, its heads, how they are steered, and the question."""

    vlm: VLM
    heads: HeadSet
    how: dict[str, Any]
    prompt: str
    max_new_tokens: int
    closer: Closer

    def record(self, task: PictureTask) -> dict[str, Any]:
        """What is said about a picture, plainly and region by region, in one batch."""
        from gazeheads.models.asking import doubt
        from gazeheads.models.closer import closer_look
        from gazeheads.steering import Steering

        image = task.image()
        encoded = self.vlm.encode(image, self.prompt)
        rows: list[Any] = [encoded]
        for region in task.regions:
            images, where = closer_look(image, region, self.closer)
            own = encoded if self.closer == "none" else self.vlm.encode(images, self.prompt)
            rows.append((own, Steering(self.heads, where, **self.how)))
        said = [
            each.text.strip()
            for each in self.vlm.generate(rows, max_new_tokens=self.max_new_tokens)
        ]
        note = doubt(self.vlm, task.drawn)
        return {
            "kind": KIND,
            "picture": task.called,
            "pixels": task.pixels,
            "size": list(task.size),
            "model": self.vlm.name,
            "heads": [list(head) for head in self.heads],
            "prompt": self.prompt,
            "closer": self.closer,
            "unsteered": said[0],
            "regions": [
                {"name": region.name, "boxes": [list(box) for box in region.boxes], "text": text}
                for region, text in zip(task.regions, said[1:], strict=True)
            ],
            "note": note or None,
        }


def _write(folder: _Folder, task: PictureTask, record: dict[str, Any]) -> None:
    """The figure, then the record that says the picture is done."""
    from gazeheads.cli.region_figure import region_figure
    from gazeheads.files import write_json

    texts = [each["text"] for each in record["regions"]]
    path = folder.path / f"{task.name}.regions.png"
    title, note = Path(record["picture"]).name, record["note"] or ""
    region_figure(task.image(), task.regions, texts, record["unsteered"], path, title, note)
    write_json(folder.path / f"{task.name}.json", record)


def _tell(records: list[dict[str, Any]], folder: _Folder | None, texts: bool) -> None:
    from gazeheads.cli import terminal

    for record in records if texts else ():
        if len(records) > 1:
            terminal.out.print(record["picture"], style="bold", markup=False)
        names = ["unsteered", *(each["name"] for each in record["regions"])]
        said = [record["unsteered"], *(each["text"] for each in record["regions"])]
        wide = max(map(len, names))
        for name, text in zip(names, said, strict=True):
            terminal.out.print(f"{name:<{wide}}  ", terminal.plain(text), sep="")
    for note in dict.fromkeys(record["note"] for record in records if record["note"]):
        terminal.err.print(f"Note: {note}", markup=False)
    if folder is not None and texts:
        terminal.out.print(f"Figures and texts: {folder.path}", markup=False)
