"""``gazeheads watch``: a text, and where the gaze heads looked while it was written."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gazeheads import prompts
from gazeheads.cli.heads_options import Heads, HeadsAnyway, K, Model, Seed
from gazeheads.cli.schedule_options import EveryOption, ScheduleOption, schedule_of
from gazeheads.cli.strength_options import DeltaOption, ModeOption, Strength

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gazeheads.cli.resolve import Shown
    from gazeheads.discovery.sinks import Sinks
    from gazeheads.regions import Region
    from gazeheads.spans import Span, SpanKind
    from gazeheads.trace import GazeTrace, PanelTrace

_DIGITS = 4  # significant ones of an attention value per token


class SinkChoice(StrEnum):
    """What becomes of the attention to sinks."""

    drop = "drop"
    keep = "keep"
    show = "show"


@dataclass(frozen=True)
class _Files:
    """Where everything of one text goes."""

    folder: Path
    page: Path
    stem: str
    staircase: str

    @classmethod
    def of(cls, out: Path) -> _Files:
        """A folder, or a page with the other files beside it."""
        if out.suffix.lower() in (".html", ".htm"):
            return cls(out.parent, out, out.stem, f"{out.stem}-staircase")
        return cls(out, out / "page.html", "gaze", "staircase")

    def __call__(self, stem: str, ending: str) -> Path:
        return self.folder / f"{stem}.{ending}"

    def check_free(self, asked: dict[str, Any], overwrite: bool) -> None:
        """Raises GazeheadsError if they hold another text, unless that may be lost."""
        from gazeheads.errors import GazeheadsError

        found = [self(self.stem, "json"), self(self.staircase, "json")]
        there = [path for path in found if path.exists()]
        if overwrite or (not there and not self.page.exists()):
            return
        differs = [path for path in there if _asked_in(path) != asked]
        if differs or not there:
            raise GazeheadsError(
                f"{(differs or [self.page])[0]} is of another picture, question or model: choose "
                "another --out, or replace it with --overwrite"
            )


def _asked_in(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8")).get("asked")
    except (OSError, ValueError, AttributeError):
        return None


def watch_command(
    image: Annotated[Path, typer.Argument(help="An image, or a folder of strips.")],
    prompt: Annotated[str, typer.Option(help="What is asked.")] = prompts.FREE_NARRATION,
    k: K = None,
    heads: Heads = None,
    heads_anyway: HeadsAnyway = False,
    model: Model = "comic-tiny",
    comic: Annotated[str | None, typer.Option(help="Id or number of the comic in a folder.")] = (
        None
    ),
    panels: Annotated[
        int | None, typer.Option(min=1, help="Number of panels of an image; default: none.")
    ] = None,
    columns: Annotated[
        int | None, typer.Option(min=1, help="Panels per row; default: one row.")
    ] = None,
    box: Annotated[
        list[str] | None,
        typer.Option(help="Tell how much goes to x0,y0,x1,y1 in pixels; may be repeated."),
    ] = None,
    schedule: ScheduleOption = None,
    every: EveryOption = None,
    delta: DeltaOption = None,
    mode: ModeOption = None,
    spans: Annotated[
        str,
        typer.Option(help="What to point at: phrases, words, or a text file, one span per line."),
    ] = "phrases",
    sinks: Annotated[
        SinkChoice,
        typer.Option(help="Tokens that draw attention whatever is said: leave out, keep, mark."),
    ] = SinkChoice.drop,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Folder, or page.html; default: runs/watch and the picture's name."
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace what lies there of another text.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Length of the text.")] = 300,
    seed: Seed = 0,
) -> None:
    """Have a picture described and see where the gaze heads looked, phrase by phrase.

    Writes a page whose text shows on the picture where the heads looked, a contact sheet and the
    numbers; by panel for a strip and by box for an image with --box, the shares as well.
    """
    from gazeheads.cli import resolve, terminal
    from gazeheads.cli.picture_tasks import pixel_mark
    from gazeheads.errors import GazeheadsError
    from gazeheads.files import file_name, json_text
    from gazeheads.study.runs import check_writable

    shown = resolve.shown_at(image, comic, panels, columns)
    files = _Files.of(out if out is not None else Path("runs/watch") / file_name(shown.name))
    check_writable(files.folder)
    if box and shown.panels:
        raise GazeheadsError(f"{shown.name} is told by its panels: leave --box out, or --panels")
    boxes = [region for each in box or () for region in shown.targets(None, each)]
    strength, turns = Strength(delta, mode), schedule_of(schedule, every, shown.panels)
    if turns is None and strength != Strength():
        raise GazeheadsError("--delta and --mode are of --schedule: name that too")
    chosen_spans = _spans(spans)
    asked = {
        "pixels": pixel_mark(shown.image),
        "prompt": prompt,
        "model": model,
        "heads": resolve.heads_mark(heads),
        "k": k,
        "max_new_tokens": max_new_tokens,
        "seed": seed,
        "schedule": schedule,
        "every": every,
        **strength.asked(),
    }
    files.check_free(asked, overwrite)
    with terminal.ProgressBars() as bars:
        vlm, chosen = resolve.model_and_heads(model, heads, k, seed, bars, heads_anyway)
        terminal.print_resize_cost(vlm, shown.image)
        from gazeheads.steering import Steering

        steering = () if turns is None else Steering(chosen, turns, **strength.of(chosen))
        trace = vlm.watch(
            shown.image, prompt, chosen, steering=steering, max_new_tokens=max_new_tokens
        )
        # the text first: nothing that goes wrong with a figure may lose it
        if not as_json:
            terminal.out.print(terminal.plain(trace.text))
        found = None
        if trace.text.strip():
            from gazeheads.discovery.sinks import find_sinks

            found = find_sinks(vlm, shown.image, chosen, trace, seed=seed)
    about = {
        "model": vlm.name,
        "fingerprint": vlm.fingerprint,
        "picture": shown.name,
        "prompt": prompt,
        "heads": [list(head) for head in chosen],
        "heads_name": chosen.name,
        "text": trace.text,
        "pieces": list(trace.pieces),
        "steered_to": list(trace.steered_to),
        "sinks": [] if found is None else found.tokens.tolist(),
        "sinks_left_out": sinks is SinkChoice.drop,
        "note": terminal.print_doubt(vlm, shown.drawn) or None,
        "asked": asked,
    }
    if found is not None and len(found):
        kept = {"drop": "left out (--sinks keep)", "keep": "kept", "show": "marked in the page"}
        terminal.err.print(f"Note: {found.told()}: {kept[sinks]}", markup=False)
    regions = shown.panels or boxes
    written = _write(trace, found, sinks, shown, regions, chosen_spans, about, files)
    if as_json:
        told = {"kind": "watched-text", "page": str(files.page), **about}
        terminal.out.print(json_text(told), markup=False)
    else:
        terminal.out.print("Files: " + ", ".join(map(str, written)), markup=False)
        terminal.out.print(f"Page: {files.page}", markup=False)


def _spans(chosen: str) -> SpanKind | Sequence[str | Span]:
    """The kind of spans, or those of a text file."""
    from gazeheads.errors import GazeheadsError
    from gazeheads.files import read_lines

    if chosen == "phrases":
        return "phrases"
    if chosen == "words":
        return "words"
    if not Path(chosen).is_file():
        raise GazeheadsError(f"--spans is phrases, words, or a text file, not {chosen!r}")
    lines = [line.strip() for _, line in read_lines(chosen)]
    if not lines:
        raise GazeheadsError(f"{chosen} has no spans: one per line, as they stand in the text")
    return lines


def _write(
    trace: GazeTrace,
    found: Sinks | None,
    choice: SinkChoice,
    shown: Shown,
    regions: Sequence[Region],
    spans: SpanKind | Sequence[str | Span],
    about: dict[str, Any],
    files: _Files,
) -> list[Path]:
    """Numbers first, then the figures, then the page; where the numbers and figures are."""
    from gazeheads.transcript import write_transcript

    dropped = found is not None and choice is SinkChoice.drop
    counted = trace.without(found.tokens) if found is not None and dropped else trace
    numbers = _numbers(trace, counted, shown, about, files)
    if regions:
        by_region = counted.by_panel(regions) if shown.panels else counted.by_region(regions)
        what = "panel" if shown.panels else "box"
        data = {
            "kind": "gaze-by-panel",
            **about,
            "panels": list(by_region.names),
            "attention": by_region.values.tolist(),
        }
        numbers.append(_staircase(by_region, data, what, shown.name, files))
    else:
        counted.plot(files(files.stem, "png"), shown.name)
        numbers.insert(0, files(files.stem, "png"))
    if trace.text.strip():
        write_transcript(
            trace,
            files.page,
            spans=spans,
            sinks=found,
            sink_choice=choice.value,
            regions=regions,
            title=shown.name,
            prompt=about["prompt"],
            about={"model": about["model"], "heads": f"{len(trace.heads)}: {about['heads_name']}"},
        )
    return numbers


def _staircase(
    shares: PanelTrace, data: dict[str, Any], what: str, name: str, files: _Files
) -> Path:
    from gazeheads.files import write_json

    write_json(files(files.staircase, "json"), data)
    shares.plot(files(files.staircase, "png"), name, what)
    return files(files.staircase, "png")


def _numbers(
    trace: GazeTrace, counted: GazeTrace, shown: Shown, about: dict[str, Any], files: _Files
) -> list[Path]:
    """The attention to every image token at every step: averaged as JSON, by head as NPZ."""
    from gazeheads.files import write_json
    from gazeheads.trace_files import save_trace

    values = counted.values(value_weighted=False) / len(trace.heads)
    data = {
        "kind": "gaze-over-image",
        **about,
        "size": list(shown.image.size),
        # of a token that stands for no part of the image: none
        "boxes": [None if math.isnan(b[0]) else [round(float(x), 2) for x in b]
                  for b in trace.tokens.boxes],
        "attention": [[float(f"{x:.{_DIGITS}g}") for x in step] for step in values],
    }  # fmt: skip
    whole = save_trace(trace, files(files.stem, "npz"))
    return [write_json(files(files.stem, "json"), data), whole]
