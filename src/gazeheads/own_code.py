"""Objects of a user's own Python files: judges and experiments that the package does not know."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from gazeheads.errors import GazeheadsError, named

_PREFIX = "gazeheads_own_"


class OwnCodeError(GazeheadsError):
    """A file or object of the user's that cannot be used."""


def is_own(spec: str) -> bool:
    """Whether something is named as FILE.py:NAME."""
    file, _, name = spec.rpartition(":")
    return file.endswith(".py") and name.isidentifier()


def object_of(spec: str) -> Any:
    """The object of a spec FILE.py:NAME.

    Raises:
        OwnCodeError: there is no such file or name, or the file fails.
    """
    file, _, name = spec.rpartition(":")
    module = module_of(Path(file))
    if not hasattr(module, name):
        raise OwnCodeError(f"{file} defines no {name!r}")
    return getattr(module, name)


def module_of(path: Path) -> ModuleType:
    """A Python file as a module; the same file gives the same module again, until it changes.

    Raises:
        OwnCodeError: there is no such file, or it fails.
    """
    if not path.is_file() or path.suffix != ".py":
        raise OwnCodeError(f"there is no Python file {path}")
    place = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]
    called = f"{_PREFIX}{place}_{mark_of(path)}"
    if called in sys.modules:
        return sys.modules[called]
    module = ModuleType(called)
    module.__file__ = str(path.resolve())
    sys.modules[called] = module  # classes of it can be pickled, as dataclasses need it too
    try:
        # not by the import system: its bytecode of a file may be of a moment before
        exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)
    except Exception as error:
        del sys.modules[called]
        raise OwnCodeError(f"{path} fails when it is read: {named(error)}") from error
    return module


def own_modules() -> list[ModuleType]:
    """The files that were read so far."""
    return [module for name, module in sys.modules.items() if name.startswith(_PREFIX)]


def mark_of(path: Path) -> str:
    """Of what stands in a file, so that a run knows which version of it was used."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
