"""Wordings: one panel truth said in several natural ways, all exact.

The first wording, the *headline* ("Cat paints the rocket in the forest."), begins with content
because the page's example answers do ("Cat discovers treasure map").
"""

from __future__ import annotations

from gazeheads.data.drawn.truth import PLACES, WEATHERS, PanelTruth

FORMS = {
    "rides": ("riding", "ridden"),
    "paints": ("painting", "painted"),
    "finds": ("finding", "found"),
    "juggles": ("juggling", "juggled"),
    "pulls": ("pulling", "pulled"),
    "cuts": ("cutting", "cut"),
    "washes": ("washing", "washed"),
    "cooks": ("cooking", "cooked"),
    "buries": ("burying", "buried"),
    "balances": ("balancing", "balanced"),
    "throws": ("throwing", "thrown"),
    "imagines": ("imagining", "imagined"),
}
"""Action -> its -ing form and its participle."""


def with_article(noun: str) -> str:
    """``"rocket"`` -> ``"a rocket"``, ``"apple"`` -> ``"an apple"``."""
    return f"{'an' if noun[0] in 'aeio' or noun == 'umbrella' else 'a'} {noun}"


def setting(truth: PanelTruth) -> str:
    """Where, and in which weather: ``"in the forest at night"``."""
    where = PLACES[truth.place]
    return f"{where} {WEATHERS[truth.weather]}" if truth.weather else where


def event(truth: PanelTruth) -> str:
    """Who does what with which thing: ``"cat paints the rocket"``."""
    return f"{truth.character} {truth.action} the {truth.thing}"


def headline(truth: PanelTruth) -> str:
    """The whole panel in one line: ``"Cat paints the rocket in the forest at night."``."""
    return f"{event(truth)} {setting(truth)}.".capitalize()


def setting_first(truth: PanelTruth) -> str:
    """Setting before the event: ``"Forest at night: cat paints the rocket."``."""
    when = f" {WEATHERS[truth.weather]}" if truth.weather else ""
    return f"{truth.place.capitalize()}{when}: {event(truth)}."


def captions(truth: PanelTruth) -> tuple[str, ...]:
    """Every wording of one panel, the headline first."""
    doing, done = FORMS[truth.action]
    who, thing, where = with_article(truth.character), with_article(truth.thing), setting(truth)
    return (
        headline(truth),
        setting_first(truth),
        f"{who} is {doing} {thing} {where}.".capitalize(),
        f"{where}, {who} {truth.action} {thing}.".capitalize(),
        f"{thing} is being {done} by {who} {where}.".capitalize(),
    )
