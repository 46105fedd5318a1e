"""The tables of schemas/README.md, drawn from the vocabulary: who looks a message up there finds what the code says."""

from __future__ import annotations

import schemas.messages  # noqa: F401  (fills the vocabulary)
from infra.drawn import table
from schemas.definition import MESSAGES, Message
from schemas.files import ROOM, path_of
from schemas.topics import FOR_EVER, SUBSCRIPTIONS, TOPICS

DAY_MS = 24 * 3600 * 1000


def topics() -> str:
    """A row a topic: what is on it, how long it is kept, who reads it."""
    rows = [(f"`{t.name}`", t.doc, _kept(t.retention_ms), _readers(t.name)) for t in TOPICS]
    return table(("topic", "what is on it", "kept", "read by"), rows)


def messages() -> str:
    """A row a message, topic by topic, in the order in which the story tells them."""
    return "\n\n".join(f"### {topic.name}\n\n{_of_topic(topic.name)}" for topic in TOPICS)


def _of_topic(topic: str) -> str:
    found = [cls for cls in MESSAGES.values() if cls.topic == topic]
    if not found:
        return "No message yet."
    return table(("message", "what it says", "fields"), [(_link(cls), _doc(cls), str(_fields(cls))) for cls in found])


def _link(cls: type[Message]) -> str:
    return f"[{cls.__name__}]({path_of(cls).relative_to(ROOM)})"


def _doc(cls: type[Message]) -> str:
    return " ".join((cls.__doc__ or "").split())


def _fields(cls: type[Message]) -> int:
    return len(getattr(cls, "__dataclass_fields__", ()))


def _kept(retention_ms: int) -> str:
    return "for ever" if retention_ms == FOR_EVER else f"{retention_ms // DAY_MS} days"


def _readers(topic: str) -> str:
    return ", ".join(f"`{each.component}`" for each in SUBSCRIPTIONS if topic in each.topics)
