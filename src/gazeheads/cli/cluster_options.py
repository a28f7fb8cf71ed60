"""Command-line options that send the work to a Ray cluster."""

from __future__ import annotations

from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Annotated

import typer

from gazeheads.errors import GazeheadsError

if TYPE_CHECKING:
    from gazeheads.study.cluster import RayWorkers
    from gazeheads.study.workers import Workers

Ray = Annotated[
    str | None,
    typer.Option(
        metavar="auto|HOST:PORT",
        help="Do the work on a Ray cluster: auto joins the one of this machine or starts one.",
    ),
]
RayCores = Annotated[
    int | None,
    typer.Option(min=1, help="Cores per worker without a GPU; default: as many as used here."),
]


class Cluster:
    """The workers as they were asked for: connected to when they are first needed."""

    def __init__(self, address: str | None, cores: int | None) -> None:
        if cores is not None and address is None:
            raise GazeheadsError("--ray-cores is about the workers of a cluster: add --ray auto")
        self._address, self._cores = address, cores
        self._opened: RayWorkers | None = None

    @property
    def asked_for(self) -> bool:
        """Whether there are to be workers elsewhere."""
        return self._address is not None

    def check_judge(self, calls_a_service: bool) -> None:
        """Raises GazeheadsError if workers would have to call a judge with this machine's key."""
        if self.asked_for and calls_a_service:
            raise GazeheadsError(
                "--judge llm stays on this machine, with its key: run with --ray and another "
                "judge, then judge the run again with `gazeheads judge --judge llm`"
            )

    @cached_property
    def workers(self) -> Workers:
        """Who does the work."""
        from gazeheads.cli import terminal
        from gazeheads.study.workers import ThisProcess

        if self._address is None:
            return ThisProcess()
        from gazeheads.study.cluster import RayWorkers

        device = terminal.LOAD_OPTIONS.get({}).get("device")
        found = RayWorkers.connect(self._address, self._cores, device)
        terminal.err.print(f"Ray: {found.told}", markup=False)
        self._opened = found
        return found

    def __enter__(self) -> Cluster:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._opened is not None:
            self._opened.close()
