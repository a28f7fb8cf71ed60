"""Judges of a user's own, from a Python file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gazeheads.data.strip import Strip
from gazeheads.errors import GazeheadsError, named
from gazeheads.files import file_name
from gazeheads.judges.verdict import Judge, Verdict
from gazeheads.own_code import OwnCodeError, mark_of, object_of

TAKEN = ("label", "caption", "llm")


class OwnJudge:
    """A judge of the user's: what it answers is checked, and its version is recorded.

    Attributes:
        name: in records: what it calls itself, "own" if nothing.
        about: of the judge, with a mark of its file.
    """

    def __init__(self, judge: Any, spec: str) -> None:
        file = Path(spec.rpartition(":")[0]).absolute()
        self._judge, self._spec = judge, f"{file}:{spec.rpartition(':')[2]}"
        self.name = file_name(str(getattr(judge, "name", "own")))
        if self.name in TAKEN:
            raise OwnCodeError(f"the judge {spec} calls itself {self.name!r}, which another is")
        about = dict(getattr(judge, "about", {}))
        self.about: Mapping[str, Any] = {**about, "judge": file.name, "code": mark_of(file)}

    def __reduce__(self) -> tuple[Any, ...]:
        return own_judge, (self._spec,)  # a worker elsewhere reads the file itself

    def judge(self, strip: Strip, answers: Sequence[str]) -> list[Verdict]:
        """One verdict per answer.

        Raises:
            OwnCodeError: the judge fails, or answers something else.
        """
        try:
            verdicts = list(self._judge.judge(strip, list(answers)))
        except GazeheadsError:
            raise
        except Exception as error:
            raise OwnCodeError(
                f"the judge {self._spec} failed on strip {strip.id!r}: {named(error)}"
            ) from error
        if len(verdicts) != len(answers) or not all(isinstance(v, Verdict) for v in verdicts):
            raise OwnCodeError(
                f"the judge {self._spec} must give a gazeheads.judges.Verdict per answer: asked "
                f"about {len(answers)}, it gave {len(verdicts)} values"
            )
        for verdict in verdicts:
            if verdict.panel is not None and not 1 <= verdict.panel <= len(strip):
                raise OwnCodeError(
                    f"the judge {self._spec} named panel {verdict.panel} of strip {strip.id!r}, "
                    f"which has 1 to {len(strip)}"
                )
        return verdicts


def own_judge(spec: str) -> Judge:
    """The judge of a spec FILE.py:NAME: an object, or a class or function that makes one.

    Raises:
        OwnCodeError: there is none, or it has no `judge(strip, answers)`.
    """
    found = object_of(spec)
    if isinstance(found, type) or (callable(found) and not hasattr(found, "judge")):
        try:
            found = found()
        except Exception as error:
            told = f"{spec} cannot be made without arguments: {named(error)}"
            raise OwnCodeError(told) from error
    if not callable(getattr(found, "judge", None)):
        raise OwnCodeError(f"{spec} is no judge: it has no method judge(strip, answers)")
    return OwnJudge(found, spec)
