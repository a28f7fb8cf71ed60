"""What a client may send: the bodies of requests, checked, as plain values.

Fields of the OpenAI API that would change the answer and are not offered are refused unless they
have the value that changes nothing; an unknown field is refused too, since nobody would know that
it did nothing.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    StrictBool,
    StrictInt,
    ValidationError,
    model_validator,
)

from gazeheads.errors import GazeheadsError

MOST_MESSAGES = 64
MOST_CELLS = 64  # along each side of a grid
MOST_ENTRIES = 256  # of a schedule
MOST_HEADS = 4096
MOST_STOPS = 8

Count = Annotated[StrictInt, Field(ge=1)]
Corners = Annotated[list[FiniteFloat], Field(min_length=4, max_length=4)]


class RequestError(GazeheadsError):
    """A request that is refused.

    Attributes:
        status: of the HTTP answer.
        code: for programs.
        param: the field at fault, if it is one.
    """

    def __init__(
        self, message: str, status: int = 400, code: str = "invalid_request", param: str = ""
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.param = status, code, param


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PlaceBody(_Body):
    """Where to look: one of box, mask, cell and panel, or nowhere in particular.

    Attributes:
        box: x0, y0, x1, y1 in `units`.
        mask: a black and white picture of the image's size, as a data URL.
        cell: row and column of `grid`, from 1.
        panel: from 1, of `panels`.
        release: let the heads go.
    """

    box: Corners | None = None
    mask: str | None = None
    cell: Annotated[list[Count], Field(min_length=2, max_length=2)] | None = None
    panel: Count | None = None
    release: StrictBool = False

    def named(self) -> list[str]:
        """The places that are named."""
        places = ("box", "mask", "cell", "panel")
        found = [name for name in places if getattr(self, name) is not None]
        return [*found, "release"] if self.release else found

    def one_place(self) -> str:
        """The place that is named.

        Raises:
            RequestError: none, or several.
        """
        named = self.named()
        if len(named) != 1:
            raise RequestError(
                "name one place to look at: box, mask, cell, panel, or release: true; found "
                + (" and ".join(named) or "none"),
                param="gaze",
            )
        return named[0]


class HeadsBody(PlaceBody):
    """A place and which heads look there, how hard.

    Attributes:
        heads: ["L3H1", [4, 0], ...], "L3H1,L4H0", or "all"; None: the server's.
        k: so many of the server's heads.
        delta: a number, or "inf"; None: as the server's heads recommend, else infinite.
    """

    heads: Annotated[list[str | list[StrictInt]], Field(max_length=MOST_HEADS)] | str | None = None
    k: Count | None = None
    delta: FiniteFloat | Literal["inf"] | None = None

    @property
    def strength(self) -> float | None:
        """The delta as a number."""
        return math.inf if self.delta == "inf" else self.delta


class EntryBody(PlaceBody):
    """One entry of a schedule: where to look from a step on; steps count from 0."""

    step: Annotated[StrictInt, Field(ge=0)]


class GazeBody(HeadsBody):
    """The `gaze` of a request.

    Attributes:
        grid: rows and columns that `cell` counts in.
        panels: how many equal panels the picture has, or their boxes.
        columns: of equal panels; None: one row.
        image: which picture of the conversation, from 1.
        units: of box: pixels of the picture as sent, relative 0 to 1, or per-mille.
        rule, threshold: which image tokens belong to a place.
        mode, when: see `Steering`.
        schedule: places one after another, instead of one.
        watch: what to tell of every token: the heads' attention on the regions, or on every image
            token.
    """

    grid: (
        Annotated[
            list[Annotated[StrictInt, Field(ge=1, le=MOST_CELLS)]],
            Field(min_length=2, max_length=2),
        ]
        | None
    ) = None
    panels: (
        Annotated[StrictInt, Field(ge=1, le=MOST_CELLS)]
        | Annotated[list[Corners], Field(min_length=1, max_length=MOST_CELLS)]
        | None
    ) = None
    columns: Annotated[StrictInt, Field(ge=1, le=MOST_CELLS)] | None = None
    image: Count = 1
    units: Literal["pixels", "relative", "per-mille"] = "pixels"
    rule: Literal["centre", "overlap"] = "centre"
    threshold: Annotated[FiniteFloat, Field(gt=0, le=1)] = 0.5
    mode: Literal["soft", "hard", "paper", "within"] | None = None
    when: Literal["prefill", "decode", "both"] | None = None
    schedule: Annotated[list[EntryBody], Field(min_length=1, max_length=MOST_ENTRIES)] | None = None
    watch: Literal["regions", "map"] | None = None

    @model_validator(mode="after")
    def _together(self) -> Self:
        if self.schedule is not None and self.named():
            raise ValueError("name either a schedule or one place, not both")
        if self.columns is not None and not isinstance(self.panels, int):
            raise ValueError("columns are of equal panels: give panels as their number")
        return self


class StreamOptions(_Body):
    """Of a streamed answer."""

    include_usage: StrictBool = False


class ChatBody(_Body):
    """A request for one answer; see the OpenAI API, and `GazeBody` for what is new."""

    model: str
    messages: Annotated[list[Any], Field(min_length=1, max_length=MOST_MESSAGES)]
    gaze: GazeBody | None = None
    stream: StrictBool | None = False
    stream_options: StreamOptions | None = None
    max_tokens: Count | None = None
    max_completion_tokens: Count | None = None
    temperature: Annotated[FiniteFloat, Field(ge=0, le=2)] | None = None
    top_p: Annotated[FiniteFloat, Field(gt=0, le=1)] | None = None
    top_k: Count | None = None
    repetition_penalty: Annotated[FiniteFloat, Field(gt=0, le=10)] | None = None
    seed: Annotated[StrictInt, Field(ge=0, lt=2**63)] | None = None
    stop: (
        Annotated[str, Field(min_length=1, max_length=200)]
        | Annotated[
            list[Annotated[str, Field(min_length=1, max_length=200)]],
            Field(max_length=MOST_STOPS),
        ]
        | None
    ) = None
    # what says who asks and changes no answer
    user: str | None = None
    metadata: dict[str, str] | None = None
    safety_identifier: str | None = None
    # not offered: only values that change nothing
    n: Literal[1] | None = None
    store: Literal[False] | None = None
    frequency_penalty: Literal[0] | None = None
    presence_penalty: Literal[0] | None = None
    logprobs: Literal[False] | None = None
    top_logprobs: Literal[0] | None = None
    logit_bias: Annotated[dict[str, float], Field(max_length=0)] | None = None
    tools: Annotated[list[Any], Field(max_length=0)] | None = None
    tool_choice: Literal["none", "auto"] | None = None
    response_format: dict[Literal["type"], Literal["text"]] | None = None
    modalities: list[Literal["text"]] | None = None

    @property
    def tokens(self) -> int | None:
        """How many tokens the answer may have; None: as many as the server gives."""
        return self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens

    @property
    def stops(self) -> tuple[str, ...]:
        """Texts that end the answer."""
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())


def refusal(error: ValidationError) -> RequestError:
    """The first fault of a body, in one line."""
    first = error.errors(include_url=False, include_input=False)[0]
    # names of alternatives stand in the place too: fields are those that a body could have
    place = ".".join(str(part) for part in first["loc"] if _is_field(part))
    message = " ".join(str(first["msg"]).split()).removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        message = "this server knows no such field"
    return RequestError(f"{place}: {message}" if place else message, param=place)


def _is_field(part: str | int) -> bool:
    return isinstance(part, int) or (part.isidentifier() and part not in ("str", "int", "float"))
