"""What a person does on the demo's page, and sees there, in headless Chromium."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest

PATIENCE = 120_000  # ms; a busy machine is no failure
TOKENS = "#story p:first-child .token"


class Visit:
    """One person on the page.

    Attributes:
        page: Playwright's.
        errors: what went wrong in it.
        outside: requests to other machines.
    """

    def __init__(self, browser: Any, url: str, **options: Any) -> None:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        context.set_default_timeout(PATIENCE)
        self.errors: list[str] = []
        self.outside: list[str] = []
        self._host = urlsplit(url).netloc
        context.on("request", self._asked)
        context.on("weberror", lambda error: self.errors.append(str(error.error)))
        context.on("console", self._said)
        self.page = context.new_page()
        self.page.goto(url)
        self.page.wait_for_selector("#plain:enabled")

    def _asked(self, request: Any) -> None:
        to = urlsplit(request.url)
        if to.scheme not in ("data", "blob") and to.netloc != self._host:
            self.outside.append(request.url)

    def _said(self, message: Any) -> None:
        if message.type == "error":
            self.errors.append(message.text)

    def panel(self, number: int) -> Any:
        """A panel, or a region of an own picture; from 1."""
        return self.page.locator(".region").nth(number - 1)

    def wait(self, count: int, region: int | str | None = None) -> None:
        """Until the text has so many tokens, in all or those that a region steered ("": none)."""
        where = (
            TOKENS if region is None else f'#story p:first-child [data-region="{region}"] .token'
        )
        self.page.locator(where).nth(count - 1).wait_for(state="attached")

    def count(self) -> int:
        """Tokens of the text."""
        return int(self.page.locator(TOKENS).count())

    def leave(self) -> tuple[int, int]:
        """Tokens of the text at the moment the pointer leaves the strip, and a while later."""
        self.page.evaluate(
            """tokens => document.querySelector("#stage").addEventListener("pointerleave",
                () => { window.left = document.querySelectorAll(tokens).length; },
                { capture: true, once: true })""",
            TOKENS,
        )
        self.page.mouse.move(3, 3)
        return int(self.page.evaluate("window.left")), self.later(700)

    def later(self, milliseconds: int = 500) -> int:
        """Tokens of the text after a while."""
        self.page.wait_for_timeout(milliseconds)
        return self.count()

    def log(self) -> list[tuple[int, str]]:
        """From which token on which region steered, as the page's log says."""
        script = "items => items.map(item => [Number(item.dataset.token), item.dataset.region])"
        return [(token, region) for token, region in self._all("#log li", script)]

    def story(self) -> list[tuple[str, list[str]]]:
        """The text in runs of one tint: the region that the tint stands for, and the tokens."""
        script = """spans => spans.map(span => [span.dataset.region,
            [...span.querySelectorAll('.token')].map(token => token.textContent)])"""
        return [
            (region, tokens) for region, tokens in self._all("#story p:first-child > span", script)
        ]

    def text(self, selector: str) -> str:
        """What is to be read at a place."""
        return str(self.page.locator(selector).inner_text())

    def _all(self, selector: str, script: str) -> Any:
        return self.page.locator(selector).evaluate_all(script)

    def audit(self) -> list[str]:
        """What axe-core finds serious or critical."""
        needed = "needs axe: pip install 'gazeheads[test]'"
        axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason=needed)
        found = axe.Axe().run(self.page).response["violations"]
        return [
            f"{each['id']}: {each['nodes'][0]['html'][:120]}"
            for each in found
            if each["impact"] in ("serious", "critical")
        ]
