"""Work that is sent to another process, and what comes back.

What a unit of work builds on is sent with it, but for two things: a model is named, and loaded
where it is needed; of the run's folder a unit knows only the path, and what it writes there comes
back with its records.
"""

from __future__ import annotations

import io
import pickle
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gazeheads.errors import GazeheadsError, GazeheadsWarning
from gazeheads.files import write_bytes
from gazeheads.own_code import own_modules
from gazeheads.study.disk import RunError
from gazeheads.study.runs import RunFolder

if TYPE_CHECKING:
    from gazeheads.models import VLM

MODEL, FOLDER = "model", "folder"


@dataclass(frozen=True)
class NamedModel:
    """A model as another process loads it.

    Attributes:
        name: what `load` is given.
        options: and with which options.
        fingerprint: of the weights it must then have.
    """

    name: str
    options: Mapping[str, Any]
    fingerprint: str


@dataclass(frozen=True)
class PartOutcome:
    """What came of a part of the work.

    Attributes:
        records: one per item; empty if it failed.
        files: by path what was written beside the records.
        warned: texts of warnings.
        error: a mistake that was told in one line; None: there was none.
    """

    records: Sequence[Mapping[str, Any]] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)
    warned: Sequence[str] = ()
    error: GazeheadsError | None = None

    def received(self) -> Sequence[Mapping[str, Any]]:
        """The records, with the files written and warnings given here, as if it was done here.

        Raises:
            GazeheadsError: the work failed with it.
        """
        for text in self.warned:
            warnings.warn(text, GazeheadsWarning, stacklevel=2)
        if self.error is not None:
            raise self.error
        for path, data in self.files.items():
            write_bytes(path, data)
        return self.records


class FolderElsewhere:
    """Stands for the folder of a run where a unit is done: it has a path to write to, no more.

    Attributes:
        home: path of the run's own folder.
        path: where a unit may write; set for each.
    """

    path: Path

    def __init__(self, home: str) -> None:
        self.home = home

    def __getattr__(self, name: str) -> Any:
        raise RunError(f"a unit of work knows the path of its run, not its {name!r}")

    def taken(self) -> dict[str, bytes]:
        """What was written, by its path in the run's own folder; nothing is left here."""
        found = {}
        for path in sorted(self.path.rglob("*")):
            if path.is_file():
                found[str(Path(self.home) / path.relative_to(self.path))] = path.read_bytes()
                path.unlink()
        return found


def packed(thing: Any) -> bytes:
    """Anything that work is made of, functions made inside functions too.

    Raises:
        GazeheadsError: it cannot be sent.
    """
    from ray import cloudpickle  # noqa: PLC0415 - optional

    from gazeheads.models import VLM  # noqa: PLC0415 - loads torch
    from gazeheads.models.load import load_again  # noqa: PLC0415 - loads torch

    for module in own_modules():  # a worker has no such files
        by_value: Any = cloudpickle.register_pickle_by_value  # it has no types
        by_value(module)

    class Packer(cloudpickle.CloudPickler):
        def persistent_id(self, own: Any) -> Any:
            if isinstance(own, VLM):
                return MODEL, NamedModel(*load_again(own), own.fingerprint)
            if isinstance(own, RunFolder):
                return FOLDER, str(own.path.absolute())
            return None

    buffer = io.BytesIO()
    try:
        packer: Any = Packer
        packer(buffer).dump(thing)
    except (TypeError, pickle.PicklingError) as error:
        raise RunError(f"this work cannot be sent to other processes: {error}") from error
    return buffer.getvalue()


def unpacked(
    data: bytes,
    model: Callable[[NamedModel], VLM],
    folder: Callable[[str], FolderElsewhere],
) -> Any:
    """What was packed, with the models and the folders that these give."""

    class Unpacker(pickle.Unpickler):
        def persistent_load(self, own: Any) -> Any:
            kind, about = own
            return model(about) if kind == MODEL else folder(about)

    return Unpacker(io.BytesIO(data)).load()
