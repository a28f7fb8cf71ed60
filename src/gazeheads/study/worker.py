"""A process of a cluster that holds a model and does parts of the work with it."""

from __future__ import annotations

import os
import pickle
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gazeheads.errors import GazeheadsError, GazeheadsWarning
from gazeheads.study.disk import RunError
from gazeheads.study.identity import IDENTITY, differences, versions
from gazeheads.study.parcels import FolderElsewhere, NamedModel, PartOutcome, unpacked

if TYPE_CHECKING:
    from gazeheads.models import VLM


class Worker:
    """One of them; keeps the last model and the last work.

    Args:
        threads: that it computes with.
        device: where models go; None: where they were asked to.
    """

    def __init__(self, threads: int, device: str | None) -> None:
        import torch  # noqa: PLC0415 - only where there is work
        from transformers.utils import logging  # noqa: PLC0415 - loads torch

        torch.set_num_threads(threads)
        logging.set_verbosity_error()
        logging.disable_progress_bar()
        self._device = device
        self._model: tuple[NamedModel, VLM] | None = None
        self._work: tuple[int, Any] | None = None
        self._folders: dict[str, FolderElsewhere] = {}

    def ready(self, asked: dict[str, str]) -> int:
        """The id of this process.

        Raises:
            RunError: its software is not the one asked for.
        """
        if changed := differences(asked, versions(), IDENTITY):
            raise RunError(f"a worker on {os.uname().nodename} has other software ({changed})")
        return os.getpid()

    def do(self, number: int, work: bytes, part: bytes) -> PartOutcome:
        """Does a part.

        Args:
            number: of the work; the same work always has the same one.
            work: a function of a part, packed.
            part: packed.
        """
        with (
            warnings.catch_warnings(record=True) as caught,
            tempfile.TemporaryDirectory(prefix="gazeheads-") as space,
        ):
            warnings.simplefilter("always", GazeheadsWarning)
            records: Sequence[Any] = ()
            error = None
            try:
                records = self._records(number, work, part, Path(space))
            except GazeheadsError as found:
                error = _as_sent(found)
            files = {k: data for own in self._folders.values() for k, data in own.taken().items()}
        told = [str(each.message) for each in caught if each.category is GazeheadsWarning]
        return PartOutcome(records, files, told, error)

    def _records(self, number: int, work: bytes, part: bytes, space: Path) -> Sequence[Any]:
        if self._work is None or self._work[0] != number:
            self._folders = {}
            self._work = number, unpacked(work, self._loaded, self._folder)
        items = unpacked(part, self._loaded, self._folder)
        for place, folder in enumerate(self._folders.values()):
            folder.path = space / str(place)
        records: Sequence[Any] = self._work[1](items)
        return records

    def _loaded(self, asked: NamedModel) -> VLM:
        if self._model is None or self._model[0] != asked:
            from gazeheads.models import load  # noqa: PLC0415 - loads torch

            self._model = None  # two models may not fit
            options = dict(asked.options)
            if self._device is not None:
                options["device"] = self._device
            vlm = load(asked.name, **options)
            if vlm.fingerprint != asked.fingerprint:
                raise RunError(
                    f"{asked.name} on {os.uname().nodename} has other weights "
                    f"({vlm.fingerprint} instead of {asked.fingerprint})"
                )
            self._model = asked, vlm
        return self._model[1]

    def _folder(self, home: str) -> FolderElsewhere:
        return self._folders.setdefault(home, FolderElsewhere(home))


def _as_sent(error: GazeheadsError) -> GazeheadsError:
    """The error itself if it can be sent, and its text alone otherwise."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return GazeheadsError(str(error))
    return error
