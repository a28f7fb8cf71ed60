"""Messages name only options that the command they come from has."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

import gazeheads
from gazeheads.cli.main import app

SOURCE = Path(gazeheads.__file__).parent
NAMED = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*[a-z0-9]\b")
ROOT = typer.main.get_command(app)


def commands(group: Any = ROOT, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command with the words that call it; the root too."""
    yield words, group
    for name, command in getattr(group, "commands", {}).items():
        yield from commands(command, (*words, name))


def options_of(command: Any) -> set[str]:
    named = {o for parameter in command.params for o in (*parameter.opts, *parameter.secondary_opts)}
    return {option for option in named if option.startswith("--")} | {"--help"}


EVERY = {words: options_of(command) for words, command in commands()}


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """The strings of a module."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


@pytest.mark.parametrize(
    "path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE))
)
def test_every_option_that_a_text_names_exists(path: Path) -> None:
    known = set().union(*EVERY.values())
    for line, text in texts(path):
        for option in NAMED.findall(text):
            assert option in known, f"{path.name}, line {line}: {text!r}"
