"""Reads a report as a browser would, without one."""

from __future__ import annotations

import base64
from html.parser import HTMLParser
from pathlib import Path
from typing import Any


class Page(HTMLParser):
    """What a page loads, links to, carries inside and says.

    Attributes:
        loaded: addresses of what is loaded.
        linked: targets of links, but for those that save a file.
        saved: by name the files that can be saved from the page.
        tags, ids: in their order.
        contents: ids that the contents link to.
        styles: all CSS.
        text: all words outside styles and scripts.
        source: the page as it is.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.linked: list[str] = []
        self.saved: dict[str, bytes] = {}
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.contents: list[str] = []
        self.styles = ""
        self.text = ""
        self._in_contents = False
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        own = dict(attrs)
        self.tags.append(tag)
        self._in_contents |= tag == "nav"
        self.loaded += [own[name] for name in ("src", "srcset", "data", "poster") if name in own]
        if "download" in own:
            data = base64.b64decode(own["href"].partition(";base64,")[2], validate=True)
            assert self.saved.setdefault(own["download"], data) == data
        elif "href" in own:
            (self.linked if tag == "a" else self.loaded).append(own["href"])
            if self._in_contents:
                self.contents.append(own["href"].removeprefix("#"))
        if "id" in own:
            self.ids.append(own["id"])
        self.styles += own.get("style") or ""

    def handle_endtag(self, tag: str) -> None:
        self._in_contents &= tag != "nav"

    def handle_data(self, data: str) -> None:
        if self.tags[-1:] == ["style"]:
            self.styles += data
        elif self.tags[-1:] != ["script"]:
            self.text += data
