"""The page's colours: every word can be read on what it stands on, by light and in the dark (WCAG 2.2, 1.4.3: 4.5 to 1)."""

from __future__ import annotations

import re

import pytest

from tests.architecture.tree import ROOT

CSS = (ROOT / "api" / "static" / "style.css").read_text()
LEAST = 4.5
CHIP = 0.14
"""Of a stage's colour in the tint under its name, where it is strongest (drawer.css, .chip)."""
Colour = tuple[int, ...]


def palettes() -> dict[str, dict[str, Colour]]:
    """By the selector that puts it on."""
    found = re.findall(r"^ *(:root[^{\n]*) \{\n((?:.*\n)*?) *\}", CSS, re.MULTILINE)
    colours = {
        selector: {name: rgb(value) for name, value in re.findall(r"--(\w+): (#[0-9a-f]{6})", body)}
        for selector, body in found
    }
    return {selector: told for selector, told in colours.items() if told}


def rgb(value: str) -> Colour:
    return tuple(bytes.fromhex(value[1:]))


def mixed(colour: Colour, share: float, ground: Colour) -> Colour:
    return tuple(round(a * share + b * (1 - share)) for a, b in zip(colour, ground, strict=True))


def luminance(colour: Colour) -> float:
    parts = (part / 255 for part in colour)
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(share * part for share, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: Colour, other: Colour) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_there_is_one_by_light_and_one_in_the_dark_which_is_the_same_whoever_asks_for_it() -> None:
    light, *dark = palettes().values()
    assert len(dark) == 2 and dark[0] == dark[1] != light
    assert light.keys() == dark[0].keys()


@pytest.mark.parametrize("selector", palettes())
def test_every_word_can_be_read(selector: str) -> None:
    colours = palettes()[selector]
    sheet, paper = colours["sheet"], colours["paper"]
    grounds: dict[str, tuple[Colour, ...]]
    grounds = {"ink": (sheet, paper), "soft": (sheet, paper), "faint": (sheet, paper), "accent": (sheet, paper)}
    stages = colours.keys() - grounds.keys() - {"sheet", "paper", "line"}
    grounds |= {name: (sheet, paper, mixed(colours[name], CHIP, sheet)) for name in stages}
    unread = {name for name, under in grounds.items() if min(contrast(colours[name], each) for each in under) < LEAST}
    assert unread == set()
