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
from gazeheads.cli.judge_options import Choice, Name
from gazeheads.cli.main import app
from gazeheads.errors import GazeheadsError

SOURCE = Path(gazeheads.__file__).parent
NAMED = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*[a-z0-9]\b")
WITH_COMMAND = re.compile(r"gazeheads [^`]*|gazeheads --\S+ COMMAND")
Words = tuple[str, ...]


def commands(group: Any, words: Words = ()) -> Iterator[tuple[Words, Any]]:
    """Every command with the words that call it; the root too."""
    yield words, group
    for name in group.list_commands(None) if hasattr(group, "list_commands") else ():
        yield from commands(group.get_command(None, name), (*words, name))


def options_of(command: Any) -> set[str]:
    every = {option for own in command.params for option in (*own.opts, *own.secondary_opts)}
    return {option for option in every if option.startswith("--")} | {"--help"}


OPTIONS = {words: options_of(command) for words, command in commands(typer.main.get_command(app))}
EXPERIMENTS = [words for words, own in OPTIONS.items() if {"--shard", "--fresh"} <= own]
PLANNED = [words for words in EXPERIMENTS if "--plan" in OPTIONS[words]]
JUDGED = [("run",), ("judge",), *EXPERIMENTS]
HEADED: list[Words] = [
    ("steer",),
    ("watch",),
    ("describe",),
    ("compare",),
    ("locate",),
    ("demo",),
    ("export", "web"),
    *EXPERIMENTS,
]
REACHED: dict[str, list[Words]] = {
    "cli/commands/compare.py": [("compare",)],
    "cli/commands/describe.py": [("describe",)],
    "cli/commands/export.py": [("export", "web")],
    "cli/commands/demo.py": [("demo",)],
    "cli/commands/judge.py": [("judge",)],
    "cli/commands/runs.py": [("discover",)],
    "cli/commands/discover_pictures.py": [("discover-pictures",)],
    "cli/commands/locate.py": [("locate",)],
    "cli/commands/steer.py": [("steer",)],
    "cli/commands/watch.py": [("watch",)],
    "cli/cluster_options.py": [("run",), ("discover",), *EXPERIMENTS],
    "cli/heads_options.py": HEADED,
    "cli/listening.py": [("demo",), ("serve",)],
    "live/page.py": [("export", "web")],
    "cli/judge_options.py": JUDGED,
    "cli/main.py": [("discover",)],
    "cli/picture_tasks.py": [("describe",), ("compare",)],
    "cli/places.py": [("describe",), ("compare",)],
    "cli/plan_options.py": PLANNED,
    "cli/region_options.py": [("steer",)],
    "cli/schedule_options.py": [("steer",), ("watch",)],
    "cli/strength_options.py": [("steer",), ("watch",), ("describe",), ("compare",)],
    "cli/resolve.py": [("steer",)],
    "cli/service_options.py": [("judge",), ("strips", "write-prompts"), ("strips", "render")],
    "cli/commands/serve.py": [("serve",)],
    "cli/session.py": EXPERIMENTS,
    "cli/chosen_heads.py": EXPERIMENTS,
    "export/check.py": [("export", "web")],
    "cli/commands/heads.py": HEADED,
    "head_set.py": HEADED,
    "heads_registry.py": [("heads", "add")],
    "heads.py": HEADED,
    "judges/caption.py": JUDGED,
    "judges/label.py": JUDGED,
    "models/kinds.py": [()],
    "models/load.py": [()],
    "models/templates.py": [()],
    "ray_cluster.py": [("run",), ("discover",), *EXPERIMENTS, ("serve",)],
    "services/images.py": [("strips", "render")],
    "serving/replicas.py": [("serve",)],
    "study/cluster.py": [("run",), ("discover",), *EXPERIMENTS],
    "study/context.py": EXPERIMENTS,
    "study/experiments/grounding.py": [("grounding",)],
    "study/experiments/question.py": [("steer-vqa",), ("steer-narration",)],
    "study/merging.py": EXPERIMENTS,
    "study/planning/checkup.py": [("doctor",)],
    "study/planning/plan.py": PLANNED,
    "study/rejudge.py": [("judge",)],
    "study/runs.py": [
        ("run",), ("discover",), ("judge",), ("merge",), ("strips", "write-prompts"), *EXPERIMENTS,
    ],
}  # fmt: skip
"""From which commands the messages of a module can come, that name options of the command."""
NEVER_THERE = {("cli/resolve.py", "--limit")}
"""--limit is named for callers of the function; the command line checks it itself."""


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """The strings of a module that users see: no docstrings, no declarations of options."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documents = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)
    }  # strings that stand alone
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if id(node) in documents:
                continue
            declared = all(NAMED.fullmatch(part) for part in node.value.split("/"))
            if not declared:
                yield node.lineno, node.value


def modules() -> list[str]:
    return sorted(str(path.relative_to(SOURCE)) for path in SOURCE.rglob("*.py"))


@pytest.mark.parametrize("module", modules())
def test_an_option_that_a_text_names_exists_on_every_command_it_is_told_by(module: str) -> None:
    for line, text in texts(SOURCE / module):
        with_command = " ".join(match[0] for match in WITH_COMMAND.finditer(text))
        for option in NAMED.findall(text):
            where = f"{module}, line {line}: {text!r}"
            assert option in set().union(*OPTIONS.values()), where
            if option in with_command or (module, option) in NEVER_THERE:
                continue
            reached = REACHED.get(module)
            assert reached, f"say in REACHED which commands tell this: {where}"
            lacking = [words for words in reached if option not in OPTIONS[words]]
            assert not lacking, f"{where}: not on {lacking}"


@pytest.mark.parametrize("module", modules())
def test_a_command_line_that_a_text_gives_can_be_typed(module: str) -> None:
    for line, text in texts(SOURCE / module):
        for given in re.findall(r"`gazeheads ([^`]+)`", text):
            words = given.split()
            known = [own for own in OPTIONS if own and list(own) == words[: len(own)]]
            assert known, f"{module}, line {line}: {given}"
            assert set(NAMED.findall(given)) <= OPTIONS[max(known, key=len)] | OPTIONS[()]


@pytest.mark.parametrize(
    "choice",
    [
        Choice(Name.llm),
        Choice(Name.llm, model="m", base_url="ftp://x"),
        Choice(model="m"),
        Choice(base_url="http://x"),
        Choice(key_env="X"),
    ],
)
def test_what_is_wrong_with_a_judge_is_told_in_the_options_of_the_command(choice: Choice) -> None:
    from dataclasses import replace

    for prefix, reached in (("--judge-", [("run",), *EXPERIMENTS]), ("--", [("judge",)])):
        with pytest.raises(GazeheadsError) as caught:
            replace(choice, prefix=prefix).llm()
        named = set(NAMED.findall(str(caught.value)))
        assert named and all(named <= OPTIONS[words] for words in reached)


@pytest.mark.parametrize(
    "words",
    [
        ("steer", "photo.png"),
        ("steer", "photo.png", "--box", "1,2"),
        ("watch", "photo.png", "--box", "1,2"),
        ("watch", "photo.png", "--box", "0,0,9,9", "--panels", "2"),
        ("discover", "photo.png"),
        ("discover", "--box", "0,0,9,9"),
        ("run", "--judge", "llm"),
        ("sweeps", "--judge-model", "m"),
        ("demo", "--engine", "browser", "--model", "x"),
    ],
)
def test_what_a_command_advises_it_takes(command: Any, tmp_path: Path, words: Words) -> None:
    from PIL import Image

    Image.new("RGB", (64, 32)).save(tmp_path / "photo.png")
    code, out, err = command(*(tmp_path / w if w == "photo.png" else w for w in words))
    assert (code, out, err.count("\n")) == (2, "", 1)
    own = WITH_COMMAND.sub("", err) if "`gazeheads" in err else err
    assert set(NAMED.findall(own)) <= OPTIONS[words[:1]]


@pytest.mark.parametrize("option", ["--device", "--no-check", "--offline"])
def test_an_option_of_all_commands_in_the_wrong_place_is_told_where_it_goes(
    command: Any, option: str
) -> None:
    code, _, err = command("watch", "x.png", option)
    assert (code, err) == (
        2,
        f"gazeheads: {option} goes before the command: gazeheads {option} ... COMMAND\n",
    )
