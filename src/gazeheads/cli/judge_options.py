"""Command-line options that choose a judge, and the judge they choose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gazeheads.cli.service_options import BaseUrl, KeyEnv, Protocol, Service, endpoint_of
from gazeheads.errors import GazeheadsError
from gazeheads.files import user_cache
from gazeheads.own_code import is_own

if TYPE_CHECKING:
    from gazeheads.data.strip import Strip
    from gazeheads.judges import Judge
    from gazeheads.judges.llm import LlmJudge


class Name(StrEnum):
    """Which judge."""

    label = "label"
    caption = "caption"
    llm = "llm"


def _checked(name: str) -> str:
    """The name of a judge, or FILE.py:NAME of one of the user's own."""
    if name in list(Name) or is_own(name):
        return name
    raise typer.BadParameter(f"{name!r} is not one of {', '.join(Name)}, nor FILE.py:NAME")


JudgeName = Annotated[
    str,
    typer.Option(
        metavar="label|caption|llm|FILE.py:NAME",
        callback=_checked,
        help="Who judges answers: label, by exact truths (drawn strips); caption, by captions; "
        "llm, a vision-language model at a service; or a judge of your own.",
    ),
]
JudgeService = Annotated[Protocol, typer.Option(help="The llm judge's protocol.")]
JudgeModel = Annotated[str | None, typer.Option(help="The llm judge's model at its service.")]
JudgeBaseUrl = BaseUrl
JudgeKeyEnv = KeyEnv
WORKERS = 8


@dataclass(frozen=True)
class Choice:
    """A judge as it was asked for.

    Attributes:
        name: which; FILE.py:NAME: one of the user's own.
        service, model, base_url, key_env, temperature: where the llm judge is asked.
        workers: its calls under way at the same time.
        cache: folder of its verdicts; None: in the user's cache folder.
        prefix: of the options, as messages name them.
    """

    name: str = Name.label
    service: Service = Protocol.openai
    model: str | None = None
    base_url: str | None = None
    key_env: str | None = None
    temperature: float | None = None
    workers: int = WORKERS
    cache: Path | None = None
    prefix: str = "--judge-"

    def llm(self) -> LlmJudge | None:
        """The llm judge, if it is the one asked for; it calls nothing yet.

        Raises:
            GazeheadsError: it has no model or no address, or another judge was given one.
        """
        from gazeheads.judges.llm import LlmJudge
        from gazeheads.services import Chat

        if self.name != Name.llm:
            given = {"model": self.model, "base-url": self.base_url, "key-env": self.key_env}
            if named := [option for option, value in given.items() if value is not None]:
                raise GazeheadsError(
                    f"{self.prefix}{named[0]} is the llm judge's: add --judge llm, or leave it out"
                )
            return None
        endpoint = endpoint_of(
            self.service, self.model, self.base_url, self.key_env, self.temperature, self.prefix
        )
        return LlmJudge(Chat(endpoint), self.cache or default_cache(), self.workers)

    def judge_of(self, strips: Sequence[Strip]) -> Judge:
        """The judge, ready to work.

        Args:
            strips: it will be asked about, as far as they are known.

        Raises:
            GazeheadsError: it cannot judge answers about all of them, or lacks a key or a package.
        """
        from gazeheads.judges import CaptionJudge, LabelJudge
        from gazeheads.judges.own import own_judge

        if (llm := self.llm()) is not None:
            llm.chat.connect()
            return llm
        judge: Judge = CaptionJudge() if self.name == Name.caption else LabelJudge()
        if is_own(self.name):
            judge = own_judge(self.name)
        for strip in strips:
            judge.judge(strip, [])
        return judge


def default_cache() -> Path:
    """Where verdicts of the llm judge are kept."""
    return user_cache() / "verdicts"
