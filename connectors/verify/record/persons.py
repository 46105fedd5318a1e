"""Subject: persons. The register on R is what the streams say; a known person has a key, a forgotten one has none any more."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Engine

from connectors.verify.snapshot import Aligned, Row, snapshot
from connectors.verify.walk import Context, Event, Subject

COLUMNS = (
    "person_id", "state", "revision", "key_id", "algorithm", "nonce", "sealed", "held_until", "hold_reason",
    "registered_at", "changed_at", "version",
)  # fmt: skip
PERSONS = f"SELECT {', '.join(COLUMNS)} FROM persons ORDER BY person_id"
HOLDERS = "SELECT account_id, person_id FROM account_holders ORDER BY account_id"
KEYS = "SELECT person_id, key_id, destroyed_at IS NULL FROM person_keys"
SEALED = ("algorithm", "nonce", "sealed")
HELD = ("held_until", "hold_reason")


class Persons(Subject):
    """Holds R's persons and account holders against the streams, and the keys against both."""

    def __init__(self, context: Context, keys: Engine | None) -> None:
        self._findings, self._keys = context.findings, keys
        self._rows = Aligned(context.read.stream(PERSONS), lambda row: row[0], self._stray)
        self._holders = Aligned(context.read.stream(HOLDERS), lambda row: row[0], self._nobody)
        self._told: dict[str, Any] = {}
        self._holder: UUID | None = None
        self._known: dict[UUID, tuple[str, UUID]] = {}

    def event(self, event: Event) -> None:
        """What the stream says so far, read from what is stored and not by the projection."""
        if not isinstance(event.payload, dict):
            return
        if event.type == "AccountRegistered" and event.message is not None:
            self._holder = getattr(event.message, "person_id", None)
        if event.category == "person" and event.message is not None:
            self._take(event, vars(event.message))

    def _take(self, event: Event, said: dict[str, Any]) -> None:
        told = self._told
        told |= {"version": event.version, "changed_at": event.recorded_at}
        match event.type:
            case "PersonRegistered":
                told |= {"person_id": event.stream_id, "state": "known", "registered_at": event.recorded_at}
                told |= dict.fromkeys(HELD) | {name: said[name] for name in ("revision", "key_id", *SEALED)}
            case "PersonCorrected":
                told |= {name: said[name] for name in ("revision", "key_id", *SEALED)}
            case "LegalHoldPlaced":
                told |= {"held_until": said["until"], "hold_reason": said["reason"]}
            case "LegalHoldLifted":
                told |= dict.fromkeys(HELD)
            case "PersonForgotten":
                told |= {"state": "forgotten"} | dict.fromkeys((*SEALED, *HELD))

    def end(self, stream_id: UUID, category: str) -> None:
        """The rows of an account or a person."""
        if category == "account":
            self._hold(stream_id)
        if category != "person":
            return
        told, self._told = self._told, {}
        rows = self._rows.take(stream_id)
        self._findings.checked["persons"] += 1
        if not rows:
            self._findings.absent("persons", stream_id, told.get("state", "a person"), "R does not know this person")
        for row in rows:
            self._findings.compare(
                "persons", stream_id, dict(zip(COLUMNS, row, strict=True)), told, "the stream says otherwise"
            )
        if {"state", "key_id"} <= told.keys():  # its first event can be read
            self._known[stream_id] = (told["state"], told["key_id"])

    def _hold(self, account_id: UUID) -> None:
        holder, self._holder = self._holder, None
        rows = self._holders.take(account_id)
        if holder is not None and not rows:
            self._findings.absent("account_holders", account_id, holder, "the account was registered for a person")
        for row in rows:
            about = "column person_id: the account was registered otherwise"
            self._findings.expect("account_holders", account_id, row[1], holder, about)

    def finish(self) -> None:
        """Nothing is left over; and each key is where it should be."""
        self._rows.rest()
        self._holders.rest()
        if self._keys is None:
            self._findings.skipped.append("keys of persons: their database was not named")
            return
        with snapshot(self._keys) as of_keys:
            keys = {person_id: (key_id, lives) for person_id, key_id, lives in of_keys.rows(KEYS)}
        for person_id, (state, key_id) in self._known.items():
            found, lives = keys.get(person_id, (None, False))
            if state == "forgotten" and lives:
                about = "the person was forgotten, and the key is there (again): `payriver person sweep` destroys it"
                self._findings.surplus("person_keys", person_id, found, about)
            if state == "known" and (found != key_id or not lives):
                self._findings.absent(
                    "person_keys", person_id, key_id, "the details of a known person do not open any more"
                )

    def _stray(self, row: Row) -> None:
        self._findings.surplus("persons", row[0], row[1], "W knows no such person")

    def _nobody(self, row: Row) -> None:
        self._findings.surplus("account_holders", row[0], row[1], "W knows no such account")
