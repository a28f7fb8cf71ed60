"""Importing every module of a package, so that each registers what it has."""

from __future__ import annotations

import importlib
import pkgutil


def import_all(package: str) -> None:
    """Imports the modules of a package, in the order of their names."""
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        importlib.import_module(f"{package}.{module.name}")
