"""The stage of the chain's bench: anvil and one durable PostgreSQL W, watched accounts, and blocks full of transfers to them."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson
import psutil
from sqlalchemy import make_url

from api.bench.figure import Asked, BenchFailed
from api.bench.store_stage import account_id, events_of
from api.roots.chain import ChainRoot, listener_of
from connectors.chain.contracts.calls import transfer_call
from connectors.chain.contracts.events import TOPICS, Transfer
from connectors.chain.listening.listener import Listener
from connectors.chain.node.abi import selector
from infra.database import engine, transaction
from infra.devchain.chain import DEPLOYER, DevChain, development_address
from infra.devchain.node import FEES
from infra.migrations.runner import migrate
from infra.settings import settings_from
from infra.stack import access
from infra.stack.process import Command, Spawner
from infra.stack.supervisor import Stack
from infra.telemetry import configure_logging
from schemas.registry import load_codec, remember_all
from streams.event_store import store

ACCOUNTS, TOGETHER = 1_000, 100
AGGREGATE = "aggregate3((address,bool,bytes)[])"
FINAL_AFTER = 100
"""Empty blocks on top, so that the last that counts is final for everybody, and history for the listener."""
FLOOR_BLOCKS = 100
LOOK_SECONDS = 0.05
WATCH = """
INSERT INTO chain_wallets (account_id, chain_id, kind, wallet, token, opening_block, state)
VALUES (%s, %s, 'customer', %s, %s, %s, 'followed')
"""
SYNTHETIC = """
INSERT INTO chain_wallets (account_id, chain_id, kind, wallet, token, opening_block, state)
SELECT gen_random_uuid(), %s, 'customer', '0xeeeeeeee' || lpad(to_hex(n), 32, '0'), %s, 0, 'followed' FROM generate_series(1, %s) AS n
"""


@dataclass(frozen=True)
class Backfilled:
    """One run of `payriver backfill`: what it took from its first block to its last commit, and its memory (MB) meanwhile."""

    seconds: float
    memory: list[float]


@dataclass
class ChainStage:
    """What the bench asks of the stack. `first`: the first block that counts; `head`: the last; `paid`: so many accounts are paid in turn."""

    stack: Stack
    asked: Asked
    chain: DevChain = field(init=False)
    first: int = field(init=False)
    head: int = field(init=False)
    paid: int = ACCOUNTS
    _turn: int = 0

    def __post_init__(self) -> None:
        self.owner = engine(access.database_url(self.stack.home, "write", "owner"))
        migrate(self.owner, "write")
        with transaction(self.owner) as cursor:
            remember_all(cursor)
        with self.stack.postgres("write").superuser("postgres") as cursor:
            cursor.execute("CREATE DATABASE peer OWNER owner")
        node = self.stack.node()
        assert node is not None, "the bench's stack has a node of its own"
        self.chain = DevChain(self.stack.url("node"), node.node_modules)
        self.chain.deploy()
        self.chain.wait_receipts([self.chain.mint(self.chain.deployment.multicall, 10**36)])
        self.chain.stop_mining()
        self.head = self.chain.head
        self.first = self.head + 1
        self._write_chain_file()
        self._watch()

    @property
    def token(self) -> str:
        """Where transfers are counted."""
        return self.chain.deployment.token

    @property
    def peer_url(self) -> str:
        """The peer's own database, on the same server."""
        return (
            make_url(access.database_url(self.stack.home, "write", "owner"))
            .set(database="peer")
            .render_as_string(False)
        )

    # -- the chain

    def pay(self, blocks: int, each: int) -> None:
        """So many blocks with one transaction of so many transfers, each to the next of the accounts that are paid."""
        for _ in range(blocks):
            receivers = [(self._turn + place) % self.paid for place in range(each)]
            self._turn += each
            self._send(receivers)
            self.chain.ask("evm_mine")
        self.head += blocks

    def bury(self) -> None:
        """Empty blocks on top."""
        self.chain.mine(FINAL_AFTER)
        self.head += FINAL_AFTER

    def floor_seconds(self, first: int, last: int, logs: int) -> float:
        """Nobody can be faster: the same logs asked for over HTTP, some blocks at a time, parsed and thrown away."""
        began, count = time.perf_counter(), 0
        with httpx.Client(timeout=60, trust_env=False) as client:
            for start in range(first, last + 1, FLOOR_BLOCKS):
                where = {"fromBlock": hex(start), "toBlock": hex(min(start + FLOOR_BLOCKS - 1, last))}
                wanted = [where | {"address": self.token, "topics": [TOPICS[Transfer]]}]
                asked = {"jsonrpc": "2.0", "id": 1, "method": "eth_getLogs", "params": wanted}
                count += len(orjson.loads(client.post(self.chain.rpc_url, json=asked).content)["result"])
        if count != logs:
            raise BenchFailed(f"the node tells {count:,} logs of blocks {first} to {last}, not {logs:,}")
        return time.perf_counter() - began

    # -- ours

    def backfill(self, last: int) -> Backfilled:
        """The command in a process of its own, until all up to block `last` is committed."""
        memory: list[float] = []
        began: float | None = None
        with self.process("backfill") as process:
            while (seen := self.seen()) < last:
                if process.status() == psutil.STATUS_ZOMBIE:
                    raise BenchFailed(f"payriver backfill ended at block {seen}; see {self._log('backfill')}")
                if seen >= 0:
                    began = began or time.perf_counter()
                memory.append(process.memory_info().rss / 2**20)
                time.sleep(LOOK_SECONDS)
            ended = time.perf_counter()
        return Backfilled(ended - (began or ended), memory)

    @contextmanager
    def process(self, command: str) -> Iterator[psutil.Process]:
        """`payriver COMMAND` as the listener, ended afterwards."""
        argv = (sys.executable, "-m", "api.cli.main", command)
        told = self.stack.settings_for("listener")
        order = Command(argv, self._log(command), self.stack.home.path("work"), told, yields=False)
        started = Spawner().spawn(order)
        try:
            yield psutil.Process(started.pid)
        finally:
            started.terminate()
            started.wait(20)

    def listener(self) -> Listener:
        """The listener in this process; whoever worked before gives way."""
        with transaction(self.owner) as cursor:
            cursor.execute("UPDATE chain_cursors SET lease_until = clock_timestamp() - interval '1 second'")
        settings = settings_from(self.stack.settings_for("listener") | {"PAYRIVER_LOG_LEVEL": "warning"})
        configure_logging(settings)
        return listener_of(ChainRoot(settings), f"bench {time.monotonic_ns()}")

    def seen(self) -> int:
        """The last block whose events are committed; -1 before the first."""
        return int(self.one("SELECT coalesce(max(seen_number), -1) FROM chain_cursors"))

    def transfers(self) -> int:
        """Transfers that were seen and are final."""
        return int(self.one("SELECT count(*) FROM events WHERE type = 'TransferFinalized'"))

    def watch_only(self, count: int) -> None:
        """So many wallets are watched; the first hundred are paid, whatever their number, the others never are."""
        self.paid = TOGETHER
        with transaction(self.owner) as cursor:
            cursor.execute("DELETE FROM chain_wallets")
            self._watch_accounts(cursor, self.paid, self.head)
            cursor.execute(SYNTHETIC, (self.chain.deployment.chain_id, self.token, count - self.paid))
            cursor.execute("ANALYZE chain_wallets")

    def one(self, query: str) -> Any:
        """The one value of a question to W."""
        with transaction(self.owner) as cursor:
            cursor.execute(query)
            return cursor.fetchall()[0][0]

    def until(self, so: Callable[[], bool], what: str, seconds: float = 600) -> None:
        """Wait for it. Raises BenchFailed."""
        deadline = time.monotonic() + seconds
        while not so():
            if time.monotonic() > deadline:
                raise BenchFailed(f"not {what} after {seconds:.0f} s")
            time.sleep(LOOK_SECONDS)

    # -- inner parts

    def _send(self, receivers: list[int]) -> None:
        calls = [(self.token, False, transfer_call(wallet(each), 10**16)) for each in receivers]
        data = selector(AGGREGATE) + self.chain.w3.codec.encode(["(address,bool,bytes)[]"], [calls])
        fees = {name: hex(value) for name, value in FEES.items()}
        gas = hex(200_000 + 40_000 * len(receivers))
        order = {"from": development_address(DEPLOYER), "to": self.chain.deployment.multicall, "gas": gas}
        self.chain.ask("eth_sendTransaction", order | fees | {"data": "0x" + data.hex()})

    def _write_chain_file(self) -> None:
        told = self.chain.deployment.chain_file(
            [self.chain.socket_url], start_block=self.head, finality={"tag": "finalized"}
        )
        told["reconcile_accounts"] = 0  # the accounts are our own invention: the contracts know nothing of them
        self.stack.chain_file.write_text(json.dumps(told))

    def _watch(self) -> None:
        with transaction(self.owner) as cursor:
            codec = load_codec(cursor)
            for first in range(0, ACCOUNTS, TOGETHER):
                some = range(first, first + TOGETHER)
                store.append(cursor, codec, [each for number in some for each in events_of(account_id(number), 1)])
            self._watch_accounts(cursor, ACCOUNTS, self.head)

    def _watch_accounts(self, cursor: Any, count: int, opening: int) -> None:
        for number in range(count):
            told = (account_id(number), self.chain.deployment.chain_id, wallet(number), self.token, opening)
            cursor.execute(WATCH, told)

    def _log(self, command: str) -> Any:
        return self.stack.home.path("logs", f"{command}.log")


def wallet(number: int) -> str:
    """The wallet of a watched account."""
    return f"0x70a11e7{number:033x}"


@contextmanager
def staged(asked: Asked) -> Iterator[ChainStage]:
    """A node that mines when it is told to, and W as in production: every commit waits for the disk."""
    with Stack(
        servers=("write", "node"),
        components=(),
        throwaway=False,
        slots_in_an_epoch=1,
        cache=asked.cache,
        offline=asked.offline,
    ) as stack:
        yield ChainStage(stack, asked)
