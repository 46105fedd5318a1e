"""The river on a chain that others keep: `payriver up --chain FILE`, by its commands alone, as a payments team would meet it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import httpx
import psutil
import pytest
from pydantic import SecretStr

from api.cli import foreign
from api.roots.development_chain import write_anchor_keys, write_keys
from connectors.chain.sending.keystore import write_keystore
from infra.devchain.chain import DevChain, development_key
from infra.devchain.values import AccountInfo
from infra.errors import PayriverError
from infra.stack.access import settings_for
from infra.stack.home import Home
from streams.domain import ids
from tests.chain_fixtures import running_devchain

EUR = 10**18
PASSWORD, ANCHOR_PASSWORD = "somebody else's keys", "the anchor's own"
T = TypeVar("T")
Examined = Callable[..., str]


@dataclass
class Abroad:
    """A node and accounts that others made, and a folder for our river."""

    chain: DevChain
    accounts: list[AccountInfo]
    folder: Path
    environment: dict[str, str] = field(repr=False)

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def file(self) -> Path:
        return self.folder / "chain.json"

    def payriver(self, *words: str, status: int = 0, **told: str) -> str:
        """A command, as a person types it; what it says."""
        done = self._run(words, status, told)
        return done.stdout + done.stderr

    def told(self, *words: str) -> dict[str, Any]:
        """What a command says to a program."""
        found: dict[str, Any] = json.loads(self._run((*words, "--json"), 0, {}).stdout)
        return found

    def _run(self, words: Sequence[str], status: int, told: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "api.cli.main", *words],
            env={**self.environment, **told},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == status, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}{self.logs()}"
        return done

    def logs(self) -> str:
        """The end of each log that tells of an error."""
        told = ((path, path.read_text(errors="replace")) for path in self.home.glob("logs/*.log"))
        return "".join(f"\n--- {path.name}\n{text[-1500:]}" for path, text in told if "rror" in text)

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """The API, with the stack's own key."""
        home = Home(self.home)
        home.load()
        key = json.loads(settings_for(home, "api")["PAYRIVER_API_KEYS"])["demo"]
        url = f"http://127.0.0.1:{home.port('api-1')}{path}"
        return httpx.request(
            method, url, headers={"X-Api-Key": key, **more.pop("headers", {})}, trust_env=False, timeout=30, **more
        )

    def payment(self, payment_id: UUID | str, **wanted: str) -> dict[str, Any]:
        """A payment, once it shows these values."""

        def look() -> dict[str, Any] | None:
            answer = self.ask("GET", f"/v1/payments/{payment_id}")
            told: dict[str, Any] = answer.json() if answer.is_success else {}
            return told if told and all(told[name] == value for name, value in wanted.items()) else None

        return eventually(look, f"{payment_id} shows {wanted}{self.logs()}")

    def spendable_minor(self, account_id: UUID) -> int:
        answer = self.ask("GET", f"/v1/accounts/{account_id}/balance")
        return int(answer.json()["spendable_minor"]) if answer.is_success else -1


def eventually(look: Callable[[], T | None], what: str, seconds: float = 90) -> T:
    """Wait until a look finds something."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := look():
            return found
        time.sleep(0.1)
    raise AssertionError(f"not so after {seconds:.0f} s: {what}")


@pytest.fixture(scope="module")
def abroad() -> Iterator[Abroad]:
    """Contracts, accounts and deposits stand before we come; a block a second."""
    folder = Path(tempfile.mkdtemp(prefix="payriver-abroad-"))
    folder.chmod(0o711)
    with running_devchain() as chain:
        accounts = chain.create_accounts(2)
        chain.wait_receipts([chain.mint(each.safe, 100 * EUR) for each in accounts])
        chain.wait_receipts([chain.mint(chain.deployment.settlement, 1_000 * EUR)])
        chain.mine(10)
        write_keys(folder / "keystore", SecretStr(PASSWORD), chain.deployment)
        write_anchor_keys(folder / "keystore", SecretStr(ANCHOR_PASSWORD), chain.deployment)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PAYRIVER_")} | {
            "PAYRIVER_HOME": str(folder / "home"),
            "PAYRIVER_KEYSTORE": str(folder / "keystore"),
            "PAYRIVER_KEYSTORE_PASSWORD": PASSWORD,
            "PAYRIVER_ANCHOR_PASSWORD": ANCHOR_PASSWORD,
            "PAYRIVER_TOPIC_PARTITIONS": "4",
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        made = Abroad(chain, accounts, folder, environment)
        told = chain.deployment.chain_file([chain.rpc_url], start_block=chain.head - 5, finality={"depth": 3})
        made.file.write_text(json.dumps(told))
        chain.interval_mining(1)
        yield made
        with suppress(AssertionError, subprocess.TimeoutExpired):
            made.payriver("down")
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def examined(abroad: Abroad, monkeypatch: pytest.MonkeyPatch) -> Examined:
    """What `payriver up --chain` says of a file and keys before it starts anything; there must be something to say."""

    def say(file: str, **told: str) -> str:
        for name, value in {**abroad.environment, **told}.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(PayriverError) as raised:
            foreign.examined(Path(file))
        return f"{raised.value.reason}: {raised.value}"

    return say


def without(abroad: Abroad, **other: Any) -> str:
    """The chain file with other values, beside it."""
    path = abroad.folder / "other.json"
    path.write_text(json.dumps(json.loads(abroad.file.read_text()) | other))
    return str(path)


WRONG: dict[str, tuple[Callable[[Abroad], dict[str, Any]], str]] = {
    "another chain": (lambda _: {"chain_id": 1}, "chain_id is 1, and"),
    "no token there": (
        lambda at: {"tokens": [{"address": at.accounts[0].owner, "symbol": "X", "currency": "EUR", "decimals": 18}]},
        "tokens.0.address: no token answers",
    ),
    "other decimals": (
        lambda at: {
            "tokens": [{"address": at.chain.deployment.token, "symbol": "X", "currency": "EUR", "decimals": 6}]
        },
        "tokens.0.decimals is 6",
    ),
    "no Spender there": (lambda at: {"spender_module": at.accounts[0].owner}, "spender_module: no Spender answers"),
    "a settlement of others": (lambda at: {"settlement_address": at.accounts[0].owner}, "settlement_address is"),
    "a block to come": (lambda _: {"start_block": 10**9}, "start_block: there is no block"),
    "no node there": (lambda _: {"rpc_urls": ["http://127.0.0.1:9"]}, "unreachable"),
}


@pytest.mark.parametrize(("other", "words"), WRONG.values(), ids=WRONG)
def test_what_the_node_contradicts_is_named(
    abroad: Abroad, other: Callable[[Abroad], dict[str, Any]], words: str, examined: Examined
) -> None:
    assert words in examined(without(abroad, **other(abroad)))


def test_keys_that_are_missing_locked_or_others_are_named(abroad: Abroad, examined: Examined) -> None:
    file = str(abroad.file)
    assert "cannot be opened" in examined(file, PAYRIVER_KEYSTORE_PASSWORD="wrong")
    assert "cannot be read" in examined(file, PAYRIVER_KEYSTORE="/nowhere")
    assert "cannot be opened" in examined(file, PAYRIVER_ANCHOR_PASSWORD="wrong")
    others = without(abroad, anchors={"sender": abroad.accounts[0].owner})
    assert "anchor.json is the key of" in examined(others)
    swapped = abroad.folder / "swapped"
    shutil.copytree(abroad.folder / "keystore", swapped)
    (swapped / "relayer.json").write_bytes((swapped / "delegate.json").read_bytes())
    (swapped / "delegate.json").unlink()
    write_keystore(swapped / "delegate.json", development_key(7), SecretStr(PASSWORD))
    said = examined(file, PAYRIVER_KEYSTORE=str(swapped))
    assert "is no enabled module" in said and "no salt binds" in said


def test_what_cannot_work_is_said_before_anything_starts(abroad: Abroad) -> None:
    other, words = WRONG["another chain"]
    said = abroad.payriver("up", "--chain", without(abroad, **other(abroad)), status=1)
    assert words in " ".join(said.split())
    assert not abroad.home.exists()


def begin(abroad: Abroad) -> None:
    """The river runs, and the accounts are under watch, each with a card."""
    abroad.payriver("up", "--chain", str(abroad.file), "--throwaway")
    assert "payriver account bind" in abroad.payriver("customer", status=1)
    abroad.payriver("account", "register", abroad.chain.deployment.settlement, "--settlement")
    for each, card in zip(abroad.accounts, ("card-ana", "card-bo"), strict=True):
        abroad.payriver("account", "register", each.safe, "--roles", each.roles, "--delay", each.delay, "--card", card)


def test_a_river_runs_on_a_node_that_others_keep(abroad: Abroad) -> None:
    """Accounts are registered by command; a stranger's spend is seen and settles, our own leaves and settles; all agrees."""
    chain, (ana, bo) = abroad.chain, abroad.accounts
    begin(abroad)
    rows = {row["component"]: row for row in abroad.told("status")["components"]}
    assert "node" not in rows and {row["state"] for row in rows.values()} <= {"ready", "running"}
    account_id = ids.account_id(chain.deployment.chain_id, bo.safe, chain.deployment.token)
    eventually(lambda: abroad.spendable_minor(account_id) == 100_00, "the deposit of before is spendable")

    stranger = chain.spend(ana, 7 * EUR, sender_key=chain.deployment.outsider_key)
    opened = ids.chain_payment_id(ids.transfer_id(100, stranger.hash, chain.deployment.token, 0))
    abroad.payment(opened, origin="chain", outcome="settled")

    body = {"card_token": "card-bo", "amount_minor": 12_50, "currency": "EUR", "deadline_ms": 20_000}
    answer = abroad.ask("POST", "/v1/authorizations", json=body, headers={"Idempotency-Key": "abroad-1"})
    assert answer.json()["approved"], answer.text
    told = abroad.payment(answer.json()["payment_id"], origin="network", outcome="settled")
    assert abroad.spendable_minor(account_id) == 87_50
    assert chain.balance(bo.safe) == 87 * EUR + EUR // 2
    assert "settled" in abroad.payriver("explain", str(told["payment_id"]))

    verified = abroad.told("verify")
    assert (verified["ok"], verified["differences"]) == (True, [])
    pids = [row["pid"] for row in rows.values()]
    abroad.payriver("down")
    assert not [pid for pid in pids if psutil.pid_exists(pid)]


@pytest.mark.long
def test_it_goes_on_where_it_was_with_what_happened_meanwhile(abroad: Abroad) -> None:
    """Kept data, and a chain that went on without us."""
    chain, (ana, _) = abroad.chain, abroad.accounts
    if not abroad.home.exists():
        begin(abroad)
        abroad.payriver("down")
    meanwhile = chain.spend(ana, 3 * EUR, sender_key=chain.deployment.outsider_key)
    chain.wait_receipts([meanwhile])
    abroad.payriver("up", "--chain", str(abroad.file), "--throwaway")
    opened = ids.chain_payment_id(ids.transfer_id(100, meanwhile.hash, chain.deployment.token, 0))
    abroad.payment(opened, origin="chain", outcome="settled")
    assert abroad.told("verify")["ok"]
    abroad.payriver("down")
