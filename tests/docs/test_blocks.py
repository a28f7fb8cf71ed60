"""Every code block of README and docs does what it says, or says why it is not run here."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import matplotlib
import pytest
import typer.main
from conftest import Command

from docs.blocks import LANGUAGES, PAGES, ROOT, Block, blocks_of
from gazeheads.cli.main import app

matplotlib.use("agg")
BLOCKS = [block for page in PAGES for block in blocks_of(page)]
COMMANDS = [block for block in BLOCKS if block.language == "bash"]
NOT_RUN = [block for block in BLOCKS if block.reason]
SPAN = re.compile(r"(?<!`)`gazeheads ([a-z][^`\n]*)`(?!`)")
"""A command line inside a sentence."""
OTHERS = {
    "bash", "cd", "curl", "export", "mkdocs", "npm", "pip", "pytest", "python", "source", "sudo",
}  # fmt: skip
"""Programs besides gazeheads that a console block may call."""
PYTHON_PAGES = [
    page for page in PAGES if any(b.language == "python" and not b.reason for b in blocks_of(page))
]


def called(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=called)
def test_every_block_says_what_it_is(page: Path) -> None:
    unknown = [block.name for block in blocks_of(page) if block.language not in LANGUAGES]
    assert unknown == [], f"use one of {LANGUAGES}"
    assert page.read_text().count("\n```") % 2 == 0


@pytest.mark.slow
@pytest.mark.parametrize("page", PYTHON_PAGES, ids=called)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_python_of_a_page_runs_from_its_first_line_to_its_last(page: Path, here: Path) -> None:
    names: dict[str, Any] = {"__name__": "__main__", "tmp": here}
    for block in blocks_of(page):
        if block.language == "python" and not block.reason:
            block.run(names)


def test_python_that_is_not_run_is_python() -> None:
    for block in NOT_RUN:
        if block.language == "python":
            compile(block.code, block.name, "exec")


def lines_of(block: Block) -> list[list[str]]:
    """The words of every command of a console block; comments and `...` are for readers."""
    joined = block.code.replace("\\\n", " ")
    lines = [shlex.split(line, comments=True) for line in joined.splitlines()]
    parts = [part for line in lines for part in " ".join(map(shlex.quote, line)).split(" '&&' ")]
    words = [[word for word in shlex.split(part) if word != "..."] for part in parts]
    return [line for line in words if line]


def parse(words: list[str]) -> None:
    """Has the command line read words, without running anything."""
    context = typer.main.get_command(app).make_context("gazeheads", list(words))
    command: Any = context.command
    while hasattr(command, "resolve_command"):
        rest = [*getattr(context, "_protected_args", []), *context.args]
        name, command, rest = command.resolve_command(context, rest)
        context = command.make_context(name, rest, parent=context)


@pytest.mark.parametrize("block", COMMANDS, ids=lambda block: block.name)
def test_every_command_exists_with_its_options(block: Block) -> None:
    for words in lines_of(block):
        if words[0] == "gazeheads":
            parse(words[1:])
        else:
            assert words[0] in OTHERS, words
    if not block.reason:
        assert {words[0] for words in lines_of(block)} == {"gazeheads"}, "say why it is not run"


def test_the_extras_and_scripts_that_blocks_name_exist() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = set(project["optional-dependencies"])
    for page in PAGES:
        text = page.read_text()
        for named in re.findall(r"(?:gazeheads|-e '?\.)\[([a-z,]+)\]", text):
            assert set(named.split(",")) <= extras, f"{called(page)}: {named}"
        for script in re.findall(r"\b(?:scripts|tests|benchmarks)/[\w/]+\.(?:py|sh)\b", text):
            assert (ROOT / script).is_file(), f"{called(page)}: {script}"


@pytest.mark.parametrize("page", PAGES, ids=called)
def test_a_command_named_in_a_sentence_exists(page: Path) -> None:
    root: Any = typer.main.get_command(app)
    for given in SPAN.findall(page.read_text()):
        words = shlex.split(given.split("|")[0].split(",")[0], comments=True)
        known = root.get_command(None, words[0])
        assert known is not None, given
        if hasattr(known, "get_command") and len(words) > 1:
            known = known.get_command(None, words[1])
            assert known is not None, given
        every = {o for c in (root, known) for p in c.params for o in (*p.opts, *p.secondary_opts)}
        named = {word.split("=")[0] for word in words if word.startswith("--")}
        assert named <= every | {"--help"}, given


@pytest.mark.slow
@pytest.mark.parametrize(
    "block", [block for block in COMMANDS if not block.reason], ids=lambda block: block.name
)
def test_the_commands_of_a_block_run(block: Block, here: Path, command: Command) -> None:
    block.run({"tmp": here})
    for words in lines_of(block):
        code, _, told = command(*words[1:])
        assert code == 0, f"{words}: {told}"


@pytest.mark.parametrize("block", NOT_RUN, ids=lambda block: f"{block.name}: {block.reason}")
def test_what_is_not_run_says_why(block: Block) -> None:
    assert len(block.reason.split()) >= 1, block.name
    assert block.language in ("python", "bash"), "text and json are never run"


def test_json_blocks_are_json() -> None:
    for block in BLOCKS:
        if block.language == "json":
            json.loads(block.code)
