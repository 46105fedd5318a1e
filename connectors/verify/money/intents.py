"""Subject: what the submitter keeps. Each intent is its planned leg, with the very call that follows from it; each signed transaction
is what it says, carries its leg, and no nonce of a sender is missing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from eth_account import Account

from connectors.chain.contracts.calls import invalidate_call, salt_of, spend_call, spend_hash, transfer_call
from connectors.chain.node.abi import checksummed
from connectors.verify.money.balances import Balances
from connectors.verify.signed import signed
from connectors.verify.snapshot import Aligned, Row
from connectors.verify.walk import Context, Event, Subject
from streams.domain import ids

INTENTS = """
SELECT payment_id, leg_id, account_id, chain_id, kind, amount_raw, target, call_data, signer, consumed_hash, state,
       correlation_id, traceparent, invalidates
FROM chain_intents ORDER BY payment_id, leg_id
"""
INTENT = (
    "payment_id", "leg_id", "account_id", "chain_id", "kind", "amount_raw", "target", "call_data", "signer",
    "consumed_hash", "state", "correlation_id", "traceparent", "invalidates",
)  # fmt: skip
TRANSACTIONS = """
SELECT t.tx_hash, t.leg_id, t.chain_id, t.sender, t.nonce, t.signed, t.max_fee_wei, t.state, t.block_number,
       i.kind, i.target, i.call_data, i.signer
FROM chain_transactions AS t LEFT JOIN chain_intents AS i USING (leg_id) ORDER BY t.chain_id, t.sender, t.nonce, t.tx_hash
"""
TRANSACTION = (
    "tx_hash", "leg_id", "chain_id", "sender", "nonce", "signed", "max_fee_wei", "state", "block_number",
    "kind", "target", "call_data", "signer",
)  # fmt: skip
NONCES = """
SELECT chain_id, sender, next_nonce,
       ARRAY(SELECT n FROM unnest(of_others) AS used, generate_series(lower(used), upper(used) - 1) AS n)
FROM chain_nonces
"""
STATES: Mapping[str, tuple[str, ...]] = {
    "planned": ("planned",),
    "submitted": ("submitted",),
    "seen": ("seen",),
    "unseen": ("submitted",),
    "settled": ("final",),
    "ended_unpaid": ("ended_unpaid",),
    "given_up": ("planned", "submitted", "final"),
}
"""State of a leg in its payment's stream -> what the intent may be."""
RECOVERED_AT_MOST = 2000
"""Recovering who signed takes some 7 ms each; older transactions are held by their hash alone."""
SIGNATURE_BYTES = 65


@dataclass
class Leg:
    """A leg as its payment's stream tells it."""

    leg_id: UUID
    payment_id: UUID
    account_id: UUID
    kind: str
    amount_raw: int
    metadata: Mapping[str, Any]
    state: str = "planned"
    invalidates: UUID | None = None


class Intents(Subject):
    """Holds intents against planned legs. They need the accounts' addresses, so they are compared when the walk is over."""

    def __init__(self, context: Context, balances: Balances) -> None:
        self._context, self._findings, self._balances = context, context.findings, balances
        self._rows = Aligned(context.write.stream(INTENTS), lambda row: row[0], self._stray)
        self._legs: dict[UUID, Leg] = {}
        self._found: list[tuple[Leg, dict[str, Any]]] = []
        self._spends: dict[UUID, dict[str, Any]] = {}
        self.sent: dict[str, UUID] = {}

    def event(self, event: Event) -> None:
        """How far the payment's own legs are. A leg that nobody planned was sent by somebody else."""
        said: Any = event.message
        if event.category != "payment" or said is None or not event.type.startswith("Leg"):
            return
        if event.type == "LegPlanned":
            leg_of = (said.leg_id, said.payment_id, said.account_id, said.kind, said.amount_raw)
            self._legs[said.leg_id] = Leg(*leg_of, event.metadata if isinstance(event.metadata, dict) else {})
        elif event.type == "LegGivenUp":
            taken_back = ids.invalidation_id(said.leg_id)
            leg_of = (taken_back, said.payment_id, said.account_id, "invalidation", 0)
            told = event.metadata if isinstance(event.metadata, dict) else {}
            self._legs[taken_back] = Leg(*leg_of, told, "given_up", said.leg_id)
        elif (leg := self._legs.get(said.leg_id)) is not None:
            if event.type == "LegSubmitted":
                self.sent[said.tx_hash] = said.leg_id
            state = {"LegSubmitted": "submitted", "LegSeen": "seen", "LegUnseen": "unseen"}.get(event.type)
            state = state or {"LegSettled": "settled", "LegEndedUnpaid": "ended_unpaid"}.get(event.type, leg.state)
            if not (state == "submitted" and leg.state not in ("planned", "submitted")):
                leg.state = state

    def end(self, stream_id: UUID, category: str) -> None:
        """Pair the rows with the legs."""
        if category != "payment":
            return
        legs, self._legs = self._legs, {}
        for row in self._rows.take(stream_id):
            intent = dict(zip(INTENT, row, strict=True))
            leg = legs.pop(intent["leg_id"], None)
            if leg is None:
                about = "the payment planned no such leg"
                self._findings.surplus("chain_intents", intent["leg_id"], intent["kind"], about)
            else:
                self._found.append((leg, intent))
        for leg in legs.values():
            how = "was planned" if leg.invalidates is None else "was ordered"
            about = f"the {leg.kind} of payment {leg.payment_id} {how}, and the submitter does not know of it"
            self._findings.absent("chain_intents", leg.leg_id, leg.amount_raw, about)

    def finish(self) -> None:
        """Compare the pairs."""
        self._rows.rest()
        self._spends = {leg.leg_id: intent for leg, intent in self._found if leg.kind == "spend"}
        for leg, intent in self._found:
            self._findings.checked["intents"] += 1
            expected = {"account_id": leg.account_id, "kind": leg.kind, "amount_raw": leg.amount_raw}
            expected["invalidates"] = leg.invalidates
            expected |= {name: leg.metadata.get(name) for name in ("correlation_id", "traceparent")}
            expected |= self._call(leg, intent)
            self._findings.compare("chain_intents", leg.leg_id, intent, expected, "the planned leg says otherwise")
            self._signer(intent)
            if intent["state"] not in STATES[leg.state]:
                about = f"column state: the leg is {leg.state}"
                self._findings.differ(
                    "chain_intents", leg.leg_id, intent["state"], " or ".join(STATES[leg.state]), about
                )

    def _signer(self, intent: Mapping[str, Any]) -> None:
        """Before it has signed anything, an address has only its checksum (EIP-55) to be held against."""
        found, about = intent["signer"], "column signer: is no address, or its checksum is another"
        if not re.fullmatch("0x[0-9a-fA-F]{40}", found) or checksummed(found.lower()) != found:
            self._findings.differ("chain_intents", intent["leg_id"], found, "a checksummed address", about)

    def _call(self, leg: Leg, intent: Mapping[str, Any]) -> dict[str, Any]:
        """Target, call data and consumed hash, made again from the account's addresses."""
        tally, chain = self._balances.tallies.get(leg.account_id), self._context.chain
        if tally is None or chain is None:
            return {}
        account, token = tally.opened, chain.token_at(tally.opened.token)
        asset = token.asset if token else account.token
        if leg.kind == "refund":
            call = transfer_call(account.wallet, leg.amount_raw)
            return {"chain_id": account.chain_id, "target": asset, "call_data": call, "consumed_hash": None}
        if leg.invalidates is not None:
            return self._taking_back(leg.invalidates, intent)
        role, spender = chain.spending_role_key, account.spender_module or chain.spender_module
        call = spend_call(asset, account.roles_module or "", account.settlement_address, leg.amount_raw, role)
        digest = spend_hash(account.chain_id, spender, call, salt_of(leg.leg_id))
        return {
            "chain_id": account.chain_id,
            "target": spender,
            "call_data": call,
            "consumed_hash": "0x" + digest.hex(),
        }

    def _taking_back(self, leg_id: UUID, intent: Mapping[str, Any]) -> dict[str, Any]:
        """The call that takes a signed spend back, made from that spend's own row: same contract, same signer."""
        spend = self._spends.get(leg_id)
        if spend is None:
            return {}
        call = invalidate_call(bytes.fromhex(str(spend["consumed_hash"]).removeprefix("0x")))
        told = {name: spend[name] for name in ("chain_id", "target", "signer")}
        return {**told, "call_data": call, "consumed_hash": None}

    def _stray(self, row: Row) -> None:
        self._findings.surplus("chain_intents", row[1], row[4], "W knows no such payment")


class Transactions:
    """Holds signed transactions against their own bytes, their intents, what the payments say was sent, and the count of nonces."""

    def __init__(self, context: Context, intents: Intents) -> None:
        self._context, self._findings = context, context.findings
        self._sent = dict(intents.sent)
        self._nonces: dict[tuple[int, str], list[int]] = {}

    def check(self) -> None:
        """All transactions, sender by sender in order of their nonces."""
        (total,) = self._context.write.one("SELECT count(*) FROM chain_transactions")
        for number, row in enumerate(self._context.write.stream(TRANSACTIONS), 1):
            self._findings.checked["transactions"] += 1
            self._transaction(dict(zip(TRANSACTION, row, strict=True)), recover=total - number < RECOVERED_AT_MOST)
            self._context.progress("transactions", number, total)
        if total > RECOVERED_AT_MOST:
            self._findings.skipped.append(f"who signed the {total - RECOVERED_AT_MOST} oldest transactions")
        for tx_hash, leg_id in self._sent.items():
            about = f"the payment's stream says that it was sent for leg {leg_id}"
            self._findings.absent("chain_transactions", tx_hash, "a transaction", about)
        self._count(self._context.write.rows(NONCES))

    def _transaction(self, row: dict[str, Any], recover: bool) -> None:
        key = row["tx_hash"]
        if (leg_id := self._sent.pop(key, None)) is not None or row["kind"] is None:
            about = "column leg_id: the payment's stream says otherwise"
            self._findings.expect("chain_transactions", key, row["leg_id"], leg_id or "a leg with an intent", about)
        self._nonces.setdefault((row["chain_id"], row["sender"]), []).append(row["nonce"])
        read = signed(self._findings, "chain_transactions", row, recover=recover)
        if read is not None and row["kind"] is not None:
            told, _ = read
            self._carries(row, "0x" + bytes(told["to"]).hex(), bytes(told["data"]), recover)

    def _carries(self, row: dict[str, Any], to: str, data: bytes, recover: bool) -> None:
        """The bytes call what the intent calls; a spend with the leg's salt, and signed by the intent's signer."""
        key, call = row["tx_hash"], bytes(row["call_data"])
        self._findings.expect(
            "chain_transactions", key, to, row["target"].lower(), "column signed: calls another contract"
        )
        if row["kind"] != "spend":
            self._findings.expect("chain_transactions", key, data, call, "column signed: carries another call")
            self._findings.expect(
                "chain_intents", row["leg_id"], row["signer"], row["sender"], "column signer: another sent it"
            )
            return
        carried = call + salt_of(row["leg_id"])
        if data[: len(carried)] != carried or len(data) != len(carried) + SIGNATURE_BYTES:
            self._findings.differ(
                "chain_transactions", key, data, carried, "column signed: carries another call or salt"
            )
        elif recover:
            digest = spend_hash(row["chain_id"], row["target"], call, salt_of(row["leg_id"]))
            signer = Account._recover_hash(digest, signature=data[-SIGNATURE_BYTES:])
            self._findings.expect(
                "chain_intents", row["leg_id"], row["signer"], signer, "column signer: another signed it"
            )

    def _count(self, counted: Sequence[Row]) -> None:
        """No nonce of a sender is missing but those that others used, and the next one is counted right: whatever was signed is stored."""
        counts = {(chain_id, sender): next_nonce for chain_id, sender, next_nonce, _ in counted}
        others = {(chain_id, sender): used for chain_id, sender, _, used in counted}
        for (chain_id, sender), ours in self._nonces.items():
            nonces = [*ours, *others.get((chain_id, sender), ())]
            key = f"{chain_id} {sender}"
            counted_to = counts.get((chain_id, sender), 0)
            missing = sorted(set(range(min(nonces), max(max(nonces), counted_to))) - set(nonces))
            for nonce in missing:
                self._findings.absent(
                    "chain_transactions", f"{key} nonce {nonce}", "a transaction", "a nonce was left out"
                )
            expected = max(nonces) + 1
            self._findings.expect(
                "chain_nonces", key, counts.pop((chain_id, sender), None), expected, "column next_nonce"
            )
        for chain_id, sender in counts:
            about = (
                f"nonces up to {counts[chain_id, sender]} are counted for a sender of which no transaction is stored"
            )
            self._findings.absent("chain_transactions", f"{chain_id} {sender}", "a transaction", about)
            self._findings.surplus("chain_nonces", f"{chain_id} {sender}", counts[chain_id, sender], about)
