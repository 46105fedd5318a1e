"""The .avsc files beside the classes: written from them, held against them, and against everything ever released."""

from __future__ import annotations

from pathlib import Path

import schemas.messages  # noqa: F401  (fills the vocabulary)
from schemas import releases, upcasters
from schemas.definition import MESSAGES, Message, avro_schema
from schemas.releases import Releases

ROOM = Path(__file__).parent


def path_of(cls: type[Message]) -> Path:
    """`events/FundsHeld.avsc` or `commands/HoldFunds.avsc`."""
    return ROOM / ("events" if cls.topic.endswith(".events") else "commands") / f"{cls.__name__}.avsc"


def text_of(cls: type[Message]) -> str:
    """The file's text."""
    return releases.text_of(avro_schema(cls))


def vocabulary() -> dict[str, releases.Schema]:
    """Record -> its schema as its class says it today."""
    return {name: avro_schema(cls) for name, cls in MESSAGES.items()}


def write() -> list[Path]:
    """Write every file that is not as its class says; gives the files written, and removes those without a class."""
    written = []
    for cls in MESSAGES.values():
        path = path_of(cls)
        path.parent.mkdir(exist_ok=True)
        if not path.exists() or path.read_text() != text_of(cls):
            path.write_text(text_of(cls))
            written.append(path)
    for path in _strangers():
        path.unlink()
    return written


def problems() -> list[str]:
    """What `make check` says: files out of step with their class, breaks with what was released, versions nobody can read any more."""
    found = [f"{path} has no class: delete it" for path in _strangers()]
    for cls in MESSAGES.values():
        path = path_of(cls)
        if not path.exists() or path.read_text() != text_of(cls):
            found.append(f"{path.relative_to(ROOM)} is not what {cls.__name__} says: run `make schemas`")
    return found + Releases().problems(vocabulary()) + upcasters.problems(MESSAGES.values())


def _strangers() -> list[Path]:
    ours = {path_of(cls) for cls in MESSAGES.values()}
    return [
        path for folder in ("events", "commands") for path in sorted((ROOM / folder).glob("*.avsc")) if path not in ours
    ]
