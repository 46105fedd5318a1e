"""The stage of the river's bench: customers with funds on a running stack, somebody who wants webhooks, and doors to look through."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from sqlalchemy import Engine

from api.bench.figure import BenchFailed
from api.bench.listening import listening
from api.bench.network import APPROVED, Answer, codes
from api.demo.receiver import Receiver
from api.demo.world import World
from connectors.verify.settle import motion
from infra.database import transaction
from infra.stack.supervisor import Stack
from streams.notifications import endpoints

CUSTOMERS, FUNDS_MINOR = 40, 500_00
LOOK_SECONDS = 0.05
SETTLED = "SELECT count(*) FROM payments WHERE payment_id = ANY(%s::uuid[]) AND outcome = 'settled'"
ANNOUNCED = """
SELECT count(*) FROM webhook_messages
WHERE stream_id = ANY(%s::uuid[]) AND type = 'card.transaction.confirmed' AND state = 'delivered'
"""


class Stage(World):
    """A world whose customers all have the same funds and have spent nothing yet."""

    def furnish(self, webhooks: str) -> None:
        """Forget the endpoints of the day before, take new customers under watch, give them money and wait until it is theirs."""
        with transaction(self.operator.write) as cursor:
            for each in endpoints.find(cursor):
                endpoints.disable(cursor, each.endpoint_id, "bench", by="bench")
            endpoints.register(cursor, webhooks, allowed_hosts=("127.0.0.1",), by="bench")
        made = self.chain.create_accounts(CUSTOMERS)
        self.chain.mine(10)
        self.customers = [self.register(each, f"card_{secrets.token_hex(6)}") for each in made]
        self.chain.interval_mining(1)
        self.chain.wait_receipts([self.deposit(each, FUNDS_MINOR) for each in self.customers])
        self.until("all deposits are final", self._all_funded, seconds=120)

    def until_settled(self, answers: Sequence[Answer], seconds: float = 300) -> int:
        """Wait until all that was approved is settled on chain, the read model says so, and the customer's server was told. Gives how many."""
        wanted = [each.payment_id for each in answers if each.response_code == APPROVED]
        if not wanted:
            raise BenchFailed(f"no authorization was approved: {codes(answers)}")
        self._until(lambda: self._count(SETTLED, wanted, self.auditor.read) == len(wanted), "settled", seconds)
        self._until(lambda: self._count(ANNOUNCED, wanted, self.auditor.write) == len(wanted), "announced", seconds)
        return len(wanted)

    def until_calm(self, answers: Sequence[Answer], seconds: float = 300) -> None:
        """Wait until these are settled and nothing moves: what is measured next begins on a calm river."""
        self.until_settled(answers, seconds)
        self._until(lambda: motion(self.auditor.write, self.auditor.read).at_rest, "at rest", seconds, pause=0.5)

    def _all_funded(self) -> bool:
        told = (self.get(f"/v1/accounts/{each.account_id}/balance") for each in self.customers)
        return all(int(each["spendable_minor"]) == FUNDS_MINOR for each in told)

    def _count(self, query: str, payment_ids: Sequence[str], database: Engine) -> int:
        with transaction(database) as cursor:
            cursor.execute(query, (list(payment_ids),))
            (row,) = cursor.fetchall()
        return int(row[0])

    def _until(self, so: Callable[[], bool], what: str, seconds: float, pause: float = LOOK_SECONDS) -> None:
        deadline = time.monotonic() + seconds
        while not so():
            if time.monotonic() > deadline:
                raise BenchFailed(f"not {what} after {seconds:.0f} s: {motion(self.auditor.write, self.auditor.read)}")
            time.sleep(pause)


@contextmanager
def furnished(stack: Stack, console: Console) -> Iterator[Stage]:
    """The stage on this stack."""
    receiver = Receiver()
    try:
        with listening() as webhooks:
            stage = Stage(stack, receiver)
            with console.status(f"{CUSTOMERS} customers"):
                stage.furnish(webhooks)
            yield stage
    finally:
        receiver.close()
