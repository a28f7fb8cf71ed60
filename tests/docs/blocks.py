"""The code blocks of README and docs, as the tests read them.

Every fenced block says what it is: `python`, `bash`, `json` or `text`. Comments of HTML right
before a block, which readers do not see, say what is special about it:

    <!-- not run: needs a checkpoint -->    why it cannot run here
    <!-- setup                              Python that is run before it
    (tmp / "photo.png").touch()
    -->

Run as a script, it runs the Python blocks of a page in a folder:
`python tests/docs/blocks.py docs/ideas.md docs/pictures` draws the pictures of that page.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "benchmarks").glob("*.md")),
]
LANGUAGES = ("python", "bash", "json", "text")
_PART = re.compile(
    r"^<!--(?P<comment>.*?)-->$|^```(?P<language>[^\n]*)\n(?P<code>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Block:
    """One fenced block.

    Attributes:
        page: its file.
        line: of the file, where its code begins.
        language: what its fence says.
        code: what stands in it.
        setup: Python that is run before it.
        reason: why it is not run; empty: it is.
    """

    page: Path
    line: int
    language: str
    code: str
    setup: str = ""
    reason: str = ""

    @property
    def name(self) -> str:
        """Where it stands."""
        return f"{self.page.relative_to(ROOT).as_posix()}:{self.line}"

    def run(self, names: dict[str, Any]) -> None:
        """Runs a Python block, errors in the lines of the page."""
        if self.setup:
            exec(compile(self.setup, f"{self.name} (setup)", "exec"), names)
        if self.language == "python":
            exec(compile("\n" * (self.line - 1) + self.code, str(self.page), "exec"), names)


def blocks_of(page: Path) -> list[Block]:
    """The blocks of a page in order."""
    text = page.read_text(encoding="utf-8")
    found, setup, reason, end = [], "", "", 0
    for part in _PART.finditer(text):
        if text[end : part.start()].strip():
            setup = reason = ""  # comments belong to the block right after them
        end = part.end()
        if (comment := part["comment"]) is not None:
            said = comment.strip()
            if said.startswith("setup"):
                setup = said.removeprefix("setup").strip()
            elif said.startswith("not run:"):
                reason = said.removeprefix("not run:").strip()
            continue
        line = text.count("\n", 0, part.start("code")) + 1
        found.append(Block(page, line, part["language"], part["code"], setup, reason))
        setup = reason = ""
    return found


def main(page: str, folder: str) -> None:
    """Runs the Python blocks of a page in a folder."""
    import os

    import matplotlib

    matplotlib.use("agg")
    blocks = blocks_of(Path(page).resolve())
    Path(folder).mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    names: dict[str, Any] = {"__name__": "__main__", "tmp": Path.cwd()}
    for block in blocks:
        if block.language == "python" and not block.reason:
            block.run(names)


if __name__ == "__main__":
    main(*sys.argv[1:])
