"""What can happen to a person behind accounts. Name and contacts stand here as ciphertext alone, under a key that is the person's own.

A topic is kept for ever; forgetting the key makes what it held unreadable everywhere, and leaves every byte, hash and offset as it was.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from schemas.definition import Message, f, message
from schemas.topics import PERSON_EVENTS

PERSON = "The person: an id that says nothing about who it is."
KEY = "The person's key, in the database of keys."
ALGORITHM = "How it was sealed: AES-256-GCM (NIST SP 800-38D)."
NONCE = "The 96-bit nonce, base64."
SEALED = "Name and contacts as padded JSON, encrypted; ciphertext and tag, base64. Bound to person, key and revision."
REVISION = "1 for the first details, one more with each correction."


@message(PERSON_EVENTS, "person_id")
class PersonRegistered(Message):
    """A person came into the register."""

    person_id: UUID = f(PERSON)
    revision: int = f(REVISION)
    key_id: UUID = f(KEY)
    algorithm: str = f(ALGORITHM)
    nonce: str = f(NONCE)
    sealed: str = f(SEALED)


@message(PERSON_EVENTS, "person_id")
class PersonCorrected(Message):
    """The person's details are others than before."""

    person_id: UUID = f(PERSON)
    revision: int = f(REVISION)
    key_id: UUID = f(KEY)
    algorithm: str = f(ALGORITHM)
    nonce: str = f(NONCE)
    sealed: str = f(SEALED)


@message(PERSON_EVENTS, "person_id")
class LegalHoldPlaced(Message):
    """The law wants the person's data kept until then: nobody may forget the person before."""

    person_id: UUID = f(PERSON)
    until: datetime = f("From then on the person may be forgotten.")
    reason: str = f("Which law or order, in words that say nothing about the person.")


@message(PERSON_EVENTS, "person_id")
class LegalHoldLifted(Message):
    """The legal hold ended before its time."""

    person_id: UUID = f(PERSON)
    reason: str = f("Why, in words that say nothing about the person.")


@message(PERSON_EVENTS, "person_id")
class PersonForgotten(Message):
    """The person is forgotten: the key is destroyed. Whoever keeps a copy of the person's data erases it now."""

    person_id: UUID = f(PERSON)
    key_id: UUID = f("The key that is destroyed.")
    reason: str = f("Why, in words that say nothing about the person.")


@message(PERSON_EVENTS, "person_id")
class ForgettingRefused(Message):
    """Somebody asked to forget the person, and a legal hold stands against it."""

    person_id: UUID = f(PERSON)
    held_until: datetime = f("Until when the hold stands.")
    reason: str = f("The hold's reason.")
