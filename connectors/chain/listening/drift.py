"""What changes without a log: at final blocks the books are held against the contracts, some accounts at a time, in turn.

A difference is an event and an alarm. An allowance and an integrity are taken as the chain says; a queue that is not empty holds
approvals back; a balance is never rewritten: a person must find out which transfer was missed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from time import monotonic
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Engine

from connectors.chain.accounts.directory import Directory, Wallet
from connectors.chain.accounts.integrity import verdict
from connectors.chain.accounts.reading import AccountReading
from connectors.chain.listening import contradictions
from connectors.chain.listening.booking import Booking
from connectors.chain.listening.cursor import Position, move
from connectors.chain.listening.reconcile import Reconciler
from connectors.chain.listening.sightings import moving
from infra.database import transaction
from streams.domain.chain import facts
from streams.domain.chain.facts import Block
from streams.domain.states.account import Account

log = structlog.get_logger(__name__)
REST = 20  # so many times as long as a look took, the next one waits


@dataclass
class Drift:
    """Goes round the accounts of one chain. `at_once`: accounts a look; 0: none.

    Looks no oftener than at each final block, and takes no more than a part of the listener's time: the head comes first.
    """

    database: Engine
    reconciler: Reconciler
    booking: Booking
    at_once: int
    _turn: list[UUID] = field(default_factory=list)
    _looked: int = -1
    _not_before: float = 0.0

    def look(self, position: Position, directory: Directory) -> bool:
        """Hold the next accounts against the chain at the final block. True when one of them differed."""
        if not self.at_once or position.final == self._looked or not directory.by_account:
            return False
        began = monotonic()
        if began < self._not_before:
            return False
        self._looked = position.final
        found = self.differences(self._next(directory), position.final)
        self._not_before = monotonic() + (monotonic() - began) * REST
        if not found:
            return False
        with transaction(self.database) as cursor:
            if move(cursor, self.booking.chain_id, position, position):
                self.booking.observe(cursor, found)
                drifts = Counter(fact.what for fact in found if isinstance(fact, facts.ObserveDrift))
                contradictions.count(cursor, self.booking.chain_id, contradictions.DRIFT_OBSERVED, drifts)
        return True

    def differences(self, wallets: Sequence[Wallet], final: int) -> list[Any]:
        """What the chain says otherwise than the books, as facts. What is on its way for an account is waited for."""
        block, readings = self.reconciler.at(wallets, final)
        with transaction(self.database) as cursor:
            busy = moving(cursor, self.booking.chain_id, [each.account_id for each in wallets])
            states = self.booking.handler.states(cursor, [each.account_id for each in wallets])
        found = []
        for wallet, reading in zip(wallets, readings, strict=True):
            state = states.get(wallet.account_id)
            if state is not None and wallet.opening_block < final:
                found += self._compared(state, reading, block, busy=wallet.account_id in busy)
        return found

    def _compared(self, account: Account, reading: AccountReading, block: Block, *, busy: bool) -> list[Any]:
        found: list[Any] = []

        def differs(what: str, booked: object, said: object) -> None:
            log.error(
                "drift_observed", account_id=str(account.account_id), what=what, booked=str(booked), chain=str(said)
            )
            found.append(facts.ObserveDrift(account.account_id, what, str(booked), str(said), block))

        if reading.balance_raw is not None and reading.balance_raw != account.final_raw:
            differs("balance", account.final_raw, reading.balance_raw)
        if account.kind == "settlement":
            return found
        if account.queue_empty and reading.queue_nonce is not None and not reading.queue_empty:
            differs("queue", "empty", f"{reading.next_nonce} of {reading.queue_nonce}")
        word = verdict(reading, self.reconciler.chain)
        if word != account.integrity and not busy:
            differs("integrity", account.integrity, word)
            found.append(facts.ObserveIntegrity(account.account_id, word, block))
        known, settled = account.allowances.final, not (account.allowances.pending or busy)
        if settled and reading.allowance is not None and reading.allowance != known:
            differs("allowance", known, reading.allowance)
            found.append(facts.ObserveAllowance(account.account_id, "reconciled", reading.allowance, block))
        return found

    def _next(self, directory: Directory) -> list[Wallet]:
        if not self._turn:
            self._turn = list(directory.by_account)
        taken, self._turn = self._turn[: self.at_once], self._turn[self.at_once :]
        return list(
            islice((directory.by_account[each] for each in taken if each in directory.by_account), self.at_once)
        )
