"""`payriver customer`: people with a Safe, some funds and a card on a river's own development chain, to try payments with."""

from __future__ import annotations

import json
import secrets
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated
from uuid import UUID, uuid4

import typer
from rich.console import Console
from rich.table import Table

from api.cli.fitting import Fitting
from api.cli.options import HomeOption, JsonOption
from api.cli.stack import folder_of
from api.roots.chain import ChainRoot
from api.roots.development_chain import devchain_of
from connectors.chain.accounts.request import Request
from infra.database import reading
from infra.devchain.chain import DevChain
from infra.devchain.values import AccountInfo
from infra.errors import Misconfigured, Unreachable
from infra.settings import MachineSettings
from infra.stack import access
from infra.stack.home import Home
from infra.stack.npm import npm_ci
from infra.stack.report import look
from infra.stack.servers.node import PACKAGES
from streams.domain.states.account import Account

FINAL_AFTER_BLOCKS = 10
SECONDS = 60
TICKET_MINOR = 12_50

out, err = Console(width=None if sys.stdout.isatty() else 150), Console(stderr=True)


@dataclass(frozen=True)
class Customer:
    """A card, and the account that it spends from."""

    account_id: str
    wallet: str
    card_token: str
    currency: str
    funds: int


def customer(
    count: Annotated[int, typer.Option("--count", min=1, max=100, help="How many.")] = 1,
    funds: Annotated[int, typer.Option("--funds", min=1, max=10**9, help="What each holds, in whole tokens.")] = 100,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make customers on the river's own development chain, each with a Safe, funds and a card; say how one of the cards is swiped."""
    folder = folder_of(home)
    root, here = ChainRoot.begin("operator", home=home), Home(folder)
    here.load()
    if not any(row.component == "node" for row in look(folder).components):
        raise Misconfigured(
            f"the river in {folder} runs on a chain of somebody else's; its accounts are found by themselves, "
            "and `payriver account bind WALLET CARD` gives one its card"
        )
    machine = MachineSettings()
    chain = devchain_of(here, npm_ci(PACKAGES, cache=machine.cache, offline=machine.offline))
    with err.status("making accounts as account-kit makes them") as line:
        accounts = _funded(chain, count, funds)
        line.update("taking them under watch")
        made = [_registered(root, each, funds) for each in accounts]
        line.update("waiting until what they hold may be spent")
        _wait(root, [UUID(each.account_id) for each in made], funds)
    if as_json:
        out.print_json(json.dumps([asdict(each) for each in made]))
    else:
        _show(made, access.url(here, "api"), here.password("api"))


def _funded(chain: DevChain, count: int, funds: int) -> list[AccountInfo]:
    """New accounts whose set-up and funds are final."""
    accounts = chain.create_accounts(count)
    sent = [chain.mint(each.safe, funds * 10**chain.deployment.decimals) for each in accounts]
    chain.mine(FINAL_AFTER_BLOCKS)
    chain.wait_receipts(sent)
    return accounts


def _registered(root: ChainRoot, account: AccountInfo, funds: int) -> Customer:
    token, card = root.chain.tokens[0], f"card_{secrets.token_hex(6)}"
    request = Request(account.safe, token, "customer", account.roles, account.delay, card)
    account_id = root.registrar.register(request, "operator")
    return Customer(str(account_id), account.safe, card, token.currency, funds)


def _wait(root: ChainRoot, accounts: Sequence[UUID], funds: int) -> None:
    """Until W knows of their funds: the listener may have found them before they were told to us, and reads them as history."""
    wanted, until = funds * 10 ** root.chain.tokens[0].decimals, time.monotonic() + SECONDS
    while True:
        with reading(root.write) as cursor:
            states: list[Account] = [each for each in root.handler.states(cursor, accounts).values() if each]
        if all(each.integrity == "Ok" and each.free_funds_raw() >= wanted for each in states):
            return
        if time.monotonic() > until:
            raise Unreachable(
                f"after {SECONDS} s the listener has not read what the accounts hold; see `payriver chain status`"
            )
        time.sleep(0.2)


def _show(made: Sequence[Customer], api: str, key: str) -> None:
    table = Table("card", "account", "wallet", "funds", box=None)
    for each in made:
        table.add_row(each.card_token, each.account_id, each.wallet, f"{each.funds} {each.currency}")
    out.print(Fitting(table))
    body = {
        "card_token": made[0].card_token,
        "amount_minor": TICKET_MINOR,
        "currency": made[0].currency,
        "merchant": {"name": "Kaffeehaus", "country": "AT", "mcc": "5814"},
    }
    headers = {"X-Api-Key": key, "Idempotency-Key": str(uuid4()), "Content-Type": "application/json"}
    told = " ".join(f"-H {shlex.quote(f'{name}: {value}')}" for name, value in headers.items())
    out.print("\nA swipe, as a card network asks; each with an Idempotency-Key of its own:\n", style="dim")
    line = f"curl -s {api}/v1/authorizations {told} -d {shlex.quote(json.dumps(body))}"
    out.print(line, soft_wrap=True, highlight=False, markup=False)
