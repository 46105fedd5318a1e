"""The chain file of `payriver up --chain FILE`: which chain, which contracts and when a block is final.

JSON; everything it may hold is below, and `python -m connectors.chain.settings` prints its JSON schema.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from connectors.chain.contracts.calls import SPENDING_ALLOWANCE, SPENDING_ROLE
from connectors.chain.node.abi import ZERO_ADDRESS, checksummed
from infra.drawn import table
from infra.errors import Misconfigured
from streams.domain.money import EXPONENTS

MULTICALL3 = "0xcA11bde05977b3631167028862bE2a173976CA11"
MODULE_FACTORY = "0x000000000000aDdB49795b0f9bA5BC298cDda236"
ROLES_MASTERCOPIES = ("0x732B9E9f259fbA6f65A1a012DC89c20872ffBd2f", "0x9646fDAD06d3e24444381f44362a3B0eB343D337")
DELAY_MASTERCOPIES = ("0x22d903fd45F441F51bcad198D14eBa8a75EA1ef0", "0x4A97E65188A950Dd4b0f21F9b5434dAeE0BBF9f5")
"""Both generations live (account-kit, src/deployments.ts before and since June 2026): no account is known by one alone."""


def written_address(text: str) -> str:
    """The address as EIP-55 writes it. Raises ValueError, which says what is wrong with one that is none, or whose letters are in the wrong case."""
    if not re.fullmatch(r"0x[0-9a-fA-F]{40}", text):
        raise ValueError(f"{text!r} is no address: 0x and 40 hex digits")
    written = checksummed(text.lower())
    if text[2:] not in (written[2:], text[2:].lower(), text[2:].upper()):
        raise ValueError(f"{text} has a wrong checksum (EIP-55): is a digit wrong? {written} would be right")
    if text.lower() == ZERO_ADDRESS:
        raise ValueError("the zero address cannot be meant")
    return written


def _bytes32(text: str) -> str:
    if not re.fullmatch(r"0x[0-9a-fA-F]{64}", text):
        raise ValueError(f"{text!r} is no bytes32: 0x and 64 hex digits")
    return text.lower()


def _rpc_url(text: str) -> str:
    if urlsplit(text).scheme not in ("http", "https", "ws", "wss") or not urlsplit(text).hostname:
        raise ValueError("an RPC URL begins with http:// or https://, ws:// or wss://")
    return text


Address = Annotated[str, AfterValidator(written_address)]
Bytes32 = Annotated[str, AfterValidator(_bytes32)]
RpcUrl = Annotated[str, AfterValidator(_rpc_url)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Token(_Part):
    """A token that accounts hold."""

    address: Address = Field(description="Contract whose Transfer logs count and whose balanceOf is the balance.")
    symbol: str = Field(min_length=1, description="As people call it, e.g. EURe.")
    currency: str = Field(pattern=r"^[A-Z]{3}$", description="ISO 4217 code that it stands for.")
    decimals: int = Field(ge=0, le=36, description="Raw units = currency units * 10^decimals.")
    twin: Address | None = Field(
        None, description="Front of an older version: repeats each Transfer that goes through it, and is not counted."
    )

    @property
    def asset(self) -> str:
        """The address that spends and refunds call: the front where there is one, for accounts are scoped to it."""
        return self.twin or self.address

    @model_validator(mode="after")
    def _two_addresses(self) -> Token:
        if self.twin == self.address:
            raise ValueError(f"twin is the token itself ({self.address}); leave it out")
        return self

    @model_validator(mode="after")
    def _holds_minor_units(self) -> Token:
        """Every amount of it is told in minor units, too (streams/domain/money.py)."""
        least = EXPONENTS.get(self.currency)
        if least is None:
            raise ValueError(f"currency {self.currency} is not one of {', '.join(EXPONENTS)}")
        if self.decimals < least:
            raise ValueError(f"a token of {self.currency} has at least {least} decimals, not {self.decimals}")
        return self


class ByTag(_Part):
    """The node says which block is final."""

    tag: Literal["finalized", "safe"] = Field(description="Block tag that the node answers.")


class ByDepth(_Part):
    """A block is final when enough others stand on it: for nodes without tags."""

    depth: int = Field(ge=1, le=10_000, description="Blocks on top of a final one.")


class Discovery(_Part):
    """Whose accounts come under watch by themselves: those whose modifiers let our spender pay our settlement address."""

    enabled: bool = Field(True, description="False: only what `payriver account register` names is watched.")
    module_factory: Address = Field(MODULE_FACTORY, description="Makes the modifiers; its word on them is trusted.")
    roles_mastercopies: tuple[Address, ...] = Field(ROLES_MASTERCOPIES, description="Roles v2 builds that are known.")
    delay_mastercopies: tuple[Address, ...] = Field(DELAY_MASTERCOPIES, description="Delay builds that are known.")

    def kind_of(self, mastercopy: str) -> str | None:
        """What a module made from `mastercopy` (any case) is: roles, delay, or None: nothing of ours."""
        kinds = {"roles": self.roles_mastercopies, "delay": self.delay_mastercopies}
        return next((kind for kind, of in kinds.items() if mastercopy.lower() in {each.lower() for each in of}), None)


class Quorum(_Part):
    """How many nodes must say the same before it counts, where there are several."""

    nodes: int = Field(
        2,
        ge=1,
        description="So many must say the same of a final block and a large sum; never more than there are. From 2 on, what ends for good "
        "(a sender's final nonce, an anchor) is said by a majority of all that are named: of three, one may be away.",
    )
    above: int | None = Field(None, ge=0, description="Whole currency units from which a sum is large; null: none is.")


class Anchors(_Part):
    """Whose transactions state the audit log's root. Told here and not in a database, so that nobody who rewrites one can change it."""

    sender: Address = Field(description="A key of ours that does nothing else.")
    first_nonce: int = Field(
        0, ge=0, description="The log's first anchor: set it where the key had sent anything before."
    )


class ChainSettings(_Part):
    """One chain, as the listener, the submitter and the gateway are told of it."""

    rpc_urls: tuple[RpcUrl, ...] = Field(
        min_length=1,
        repr=False,
        description="Nodes, the preferred one first; one over a WebSocket tells of new heads. They may hold keys: never logged whole.",
    )
    chain_id: int = Field(ge=1, description="EIP-155 id; a node that says another is refused. Gnosis Chain is 100.")
    start_block: int = Field(0, ge=0, description="Nothing before it is read.")
    tokens: tuple[Token, ...] = Field(min_length=1, description="Tokens that count.")
    settlement_address: Address = Field(
        description="Receives all spends, sends all refunds; for refunds of ours it has a key of ours."
    )
    spender_module: Address = Field(description="Spender module that our spends go through.")
    spender_generation: Literal["module-tx-salt"] = Field(
        "module-tx-salt",
        description="How a signed spend is laid out. module-tx-salt: call, salt, signature over ModuleTx{data, salt} (account-kit 4.10).",
    )
    finality: ByTag | ByDepth = Field(description='{"tag": "finalized"} or {"depth": 20}.')
    anchors: Anchors | None = Field(None, description="Where the audit log is anchored; left out: nowhere.")
    spending_role_key: Bytes32 = Field(
        SPENDING_ROLE, description="Role that the spender holds in each account's Roles modifier."
    )
    spending_allowance_key: Bytes32 = Field(SPENDING_ALLOWANCE, description="Allowance that a spend consumes.")
    cooldown_seconds: int = Field(180, ge=0, description="Shortest Delay cooldown of an account that is in order.")
    multicall_address: Address = Field(MULTICALL3, description="Multicall3, for reading many accounts at one block.")
    max_fee_gwei: int = Field(
        1_000, ge=1, description="The most that a transaction of ours pays for a unit of gas; dearer, it waits."
    )
    discovery: Discovery = Field(Discovery(), description="Whose accounts are found by themselves.")
    quorum: Quorum = Field(Quorum(), description="What is not taken on one node's word.")
    reconcile_accounts: int = Field(20, ge=0, description="Accounts held against the contracts in one look; 0: none.")
    request_timeout_seconds: float = Field(10, gt=0, description="How long a node may take for an answer.")
    requests_a_second: int | None = Field(
        None, ge=1, description="So many questions each node is asked at most; null: any."
    )

    @model_validator(mode="after")
    def _tokens_differ(self) -> ChainSettings:
        addresses = [a for token in self.tokens for a in (token.address, token.twin) if a]
        twice = {a for a in addresses if addresses.count(a) > 1}
        if twice:
            raise ValueError(f"named twice among the tokens: {', '.join(sorted(twice))}")
        return self

    @property
    def nodes(self) -> tuple[str, ...]:
        """Host and port of each RPC URL: what a log or a page may show."""
        return tuple(urlsplit(url).netloc.rpartition("@")[2] for url in self.rpc_urls)

    @property
    def max_fee_wei(self) -> int:
        """`max_fee_gwei` in wei."""
        return self.max_fee_gwei * 10**9

    def token_at(self, address: str) -> Token | None:
        """The token whose logs count at `address` (any case), if it is one."""
        return next((token for token in self.tokens if token.address.lower() == address.lower()), None)


def load_chain_settings(path: Path) -> ChainSettings:
    """Reads a chain file. Raises `Misconfigured`, which names the file and each wrong field."""
    try:
        text = path.read_text()
    except OSError as error:
        raise Misconfigured(f"chain file {path} cannot be read: {error.strerror}") from None
    try:
        record: Any = json.loads(text)
    except ValueError as error:
        raise Misconfigured(f"chain file {path} is no JSON: {error}") from None
    try:
        return ChainSettings.model_validate(record)
    except ValidationError as error:
        faults = [f"  {'.'.join(map(str, e['loc'])) or 'the whole'}: {e['msg']}" for e in error.errors()]
        raise Misconfigured(f"chain file {path} cannot be used:\n" + "\n".join(faults)) from None


def schema_text() -> str:
    """The chain file's JSON schema."""
    return json.dumps(ChainSettings.model_json_schema(), indent=2)


def _plain_json(default: Any) -> str:
    return json.dumps(default.model_dump(mode="json") if isinstance(default, BaseModel) else default)


def drawn() -> str:
    """What a chain file may hold, as a table for the docs."""
    rows = []
    parts = (("finality.", ByTag), ("finality.", ByDepth), ("discovery.", Discovery), ("quorum.", Quorum))
    for prefix, part in (("", ChainSettings), ("tokens[].", Token), *parts):
        for name, field in part.model_fields.items():
            default = "required" if field.is_required() else _plain_json(field.default)
            rows.append((f"`{prefix}{name}`", f"{field.description}", "" if default == "required" else f"`{default}`"))
    return table(("field", "what it says", "if it is left out"), rows)


if __name__ == "__main__":
    sys.stdout.write(schema_text() + "\n")
