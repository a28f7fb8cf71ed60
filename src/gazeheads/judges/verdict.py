"""What a judge is asked and what it answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from gazeheads.data.strip import Strip

Asked = str | tuple[str, ...]
"""What a judge is asked about at once: an answer, or the segments of one text."""
Reason = Literal["described", "junk", "tie", "baseline", "unjudged"]


VERDICT_FIELDS = ("panel", "reason", "mixed", "repeats")
"""Of a record; the last two stand there only where they are known."""


@dataclass(frozen=True)
class Verdict:
    """Which panel one answer describes.

    Attributes:
        panel: from 1, by content alone; None if no single panel is described.
        reason: "described": exactly one panel is; "tie": several equally; "junk": incoherent,
            empty, numbers only, or about no panel; "baseline": the answer matches the unsteered
            one (`panel` is then the panel that one describes); "unjudged": the judge declined to
            say, which counts as a miss.
        mixed: whether the answer also names something of another panel, which the described one
            does not show; None: this judge cannot say.
        repeats: whether it says one thing twice; None: nobody looked.
    """

    panel: int | None
    reason: Reason
    mixed: bool | None = field(default=None, compare=False)
    repeats: bool | None = field(default=None, compare=False)

    def hits(self, target: int) -> bool:
        """Whether steering to `target` worked by the study's rules."""
        return self.reason == "described" and self.panel == target

    def shows(self, target: int) -> bool:
        """Whether the content is the target's, matching the unsteered answer or not."""
        return self.panel == target

    @property
    def clean(self) -> bool | None:
        """Whether the answer says one thing of one panel, once; None if that is not known."""
        if self.mixed or self.repeats:
            return False
        return None if self.mixed is None or self.repeats is None else True

    def as_record(self) -> dict[str, Any]:
        """The fields of a record."""
        known = {"mixed": self.mixed, "repeats": self.repeats}
        told = {name: value for name, value in known.items() if value is not None}
        return {"panel": self.panel, "reason": self.reason, **told}

    @classmethod
    def of_record(cls, record: dict[str, Any]) -> Verdict:
        """From the fields of a record."""
        return cls(record["panel"], record["reason"], record.get("mixed"), record.get("repeats"))


JUNK = Verdict(None, "junk")
TIE = Verdict(None, "tie")
UNJUDGED = Verdict(None, "unjudged")


class Judge(Protocol):
    """Decides by content which panel each answer describes.

    Answers about one strip come together, so that a judge that calls a service can send the strip
    once or ask for several verdicts at the same time.
    """

    @property
    def name(self) -> str:
        """What records and reports call it."""
        ...

    @property
    def about(self) -> Mapping[str, Any]:
        """What verdicts depend on besides the name, as JSON values; runs record it."""
        ...

    def judge(self, strip: Strip, answers: Sequence[str]) -> list[Verdict]:
        """One verdict per answer: "described", "junk", "tie" or "unjudged"."""
        ...


@runtime_checkable
class TextJudge(Judge, Protocol):
    """A judge that can see all segments of one text at once."""

    def judge_text(self, strip: Strip, segments: Sequence[str]) -> list[Verdict]:
        """One verdict per segment of a text, in the order in which they were written."""
        ...
