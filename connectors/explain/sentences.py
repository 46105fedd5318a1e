"""Each event of a payment and of its account, told in a sentence. A type without a sentence tells its fields."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from connectors.explain.words import KINDS, REASONS, minor, raw, reason, response, short

Payload = Mapping[str, Any]


def sentence(kind: str, said: Payload) -> str:
    """What the event says."""
    tell = SENTENCES.get(kind)
    if tell is None:
        return ", ".join(f"{name} {value}" for name, value in said.items() if value is not None)
    try:
        return tell(said)
    except (KeyError, TypeError, ValueError):
        return f"its payload cannot be told: {dict(said)}"


def _amount(said: Payload) -> str:
    return raw(said["amount_raw"], said["decimals"], said.get("currency") or "")


def _requested(said: Payload) -> str:
    amount = minor(said["amount_minor"], said["currency"])
    if said["origin"] == "chain":
        return f"a spend of {amount} that nobody had asked us about was seen on chain, in {short(said['tx_hash'])}"
    place = [said.get("merchant_name"), said.get("merchant_country"), f"MCC {said['mcc']}" if said.get("mcc") else None]
    where = ", ".join(each for each in place if each) or "an unnamed merchant"
    return (
        f"the network asks for {amount} at {where}, card {said['card_token']}; an answer is due by {said['deadline']}"
    )


def _screened(said: Payload) -> str:
    if said["verdict"] == "passed":
        return "screening passed: no rule speaks against it"
    return f"screening refused: {reason(said['reason'])}"


def _authorized(said: Payload) -> str:
    code = f", authorization code {said['authorization_code']}" if said.get("authorization_code") else ""
    how = "approved in our stead by the network" if said.get("stand_in") else "approved"
    return f"{how}: {minor(said['amount_minor'], said['currency'])}{code}, response {response(said['response_code'])}"


def _planned(said: Payload) -> str:
    why = REASONS.get(said["reason"], said["reason"])
    return f"a {KINDS.get(said['kind'], said['kind'])} of {_amount(said)} is planned, for {why}"


def _leg(words: str) -> Callable[[Payload], str]:
    def tell(said: Payload) -> str:
        return f"the {said['kind']} {words.format(**{**said, 'tx': short(said.get('tx_hash'))})}"

    return tell


def _transfer(words: str) -> Callable[[Payload], str]:
    def tell(said: Payload) -> str:
        way = "leaves" if said["direction"] == "out" else "comes to"
        block = f"{said['block_number']} {short(said['block_hash'])}"
        return f"{_amount(said)} {way} the account ({said['kind']}) {words} {block}{_hold_used(said)}"

    return tell


def _hold_used(said: Payload) -> str:
    used = said.get("hold_used_raw")
    return "" if not used or used == "0" else f"; its hold of {raw(used, said['decimals'])} becomes this debit"


def _minor(words: str) -> Callable[[Payload], str]:
    """A sentence in which the event tells an amount of the card leg."""
    return lambda said: words.format(amount=minor(said["amount_minor"], said["currency"]), **said)


def _refunded(said: Payload) -> str:
    more = ", more than was captured" if said["exceeds"] else ""
    unlinked = ", naming no payment of ours" if said["unlinked"] else ""
    return f"the merchant gives {minor(said['amount_minor'], said['currency'])} back, refund {said['refund_id']}{more}{unlinked}"


SENTENCES: Mapping[str, Callable[[Payload], str]] = {
    "PaymentRequested": _requested,
    "PaymentHeld": lambda said: f"the account holds {raw(said['amount_raw'], said['decimals'])} for it",
    "HoldRefused": lambda said: (
        f"the account refuses to hold {raw(said['amount_raw'], said['decimals'])}: {reason(said['reason'])};"
        f" spendable was {raw(said['spendable_raw'], said['decimals'])}"
    ),
    "PaymentScreened": _screened,
    "PaymentAuthorized": _authorized,
    "PaymentVerified": lambda said: f"the card is good, nothing moves; response {response(said['response_code'])}",
    "PaymentDeclined": lambda said: f"declined: {reason(said['reason'])}; response {response(said['response_code'])}",
    "PaymentCaptured": lambda said: (
        f"the network posts {minor(said['amount_minor'], said['currency'])}, presentment {said['presentment_id']}"
        f"{'' if said.get('final', True) else '; more is to come'}{', which no open approval covers' * bool(said.get('forced'))}"
    ),
    "PaymentReversed": lambda said: (
        f"the network takes {minor(said['amount_minor'], said['currency'])} back, reversal {said['reversal_id']}"
    ),
    "ReversalAcknowledged": _minor("the network takes {amount} back that we did not approve, reversal {reversal_id}"),
    "PaymentExpired": lambda said: f"nobody captured {minor(said['amount_minor'], said['currency'])} in time",
    "PaymentIncremented": _minor("we approve {amount} more, request {increment_id}"),
    "IncrementDeclined": lambda said: (
        f"{minor(said['amount_minor'], said['currency'])} more are declined: {reason(said['reason'])};"
        f" response {response(said['response_code'])}"
    ),
    "PaymentPartlyReversed": _minor("the network takes {amount} of it back, reversal {reversal_id}"),
    "CaptureReversed": _minor(
        "the network takes presentment {presentment_id} of {amount} back, reversal {reversal_id}"
    ),
    "PaymentRefunded": _refunded,
    "RefundReversed": _minor("the network takes refund {refund_id} of {amount} back, reversal {reversal_id}"),
    "DisputeOpened": _minor("the holder disputes {amount} ({reason}): credited provisionally, dispute {dispute_id}"),
    "DisputeWon": _minor("dispute {dispute_id} is won: the credit of {amount} stays, the network pays"),
    "DisputeLost": _minor("dispute {dispute_id} is lost: the credit of {amount} is taken back"),
    "CardMessageRefused": lambda said: (
        f"the network's {said['message'].replace('_', ' ')} {said['message_id']} is refused: {reason(said['reason'])};"
        f" response {response(said['response_code'])}"
    ),
    "ReceivableOpened": lambda said: f"{_amount(said)} can no longer be taken on chain: the holder owes it",
    "ReceivableReduced": lambda said: f"the holder owes {_amount(said)} less: {reason(said['reason'])}",
    "LegPlanned": _planned,
    "LegSubmitted": _leg("was signed, stored and sent: {tx}"),
    "LegReverted": _leg("failed in {tx}: {reason}; it ends nothing, another transaction may carry it"),
    "LegGivenUp": lambda said: (
        f"nobody waits for the {said['kind']} any more ({reason(said['reason'])}): its signer takes it back on chain"
    ),
    "LegSeen": _leg("stands in block {block_number}, carried by {tx}; it is not final yet"),
    "LegUnseen": _leg("was dropped with block {block_number} by a reorg; {tx} may be mined again"),
    "LegSettled": _leg("is final in block {block_number}: the money has moved"),
    "LegEndedUnpaid": lambda said: (
        f"{said['closed_by']} waits no longer for the {said['kind']}: {said['because']}; mined after all, it counts"
        if said["reason"] == "closed"
        else f"the {said['kind']} can never happen any more: {reason(said['reason'])}"
    ),
    "FundsHeld": lambda said: (
        f"{_amount(said)} is set aside; spendable was {raw(said['spendable_raw'], said['decimals'])}"
    ),
    "HoldReleased": lambda said: f"{_amount(said)} is free again: {reason(said['reason'])}",
    "TransferSeen": _transfer("in block"),
    "TransferUnseen": _transfer("no more: a reorg dropped block"),
    "TransferEnded": lambda said: f"{_amount(said)} is free again: {reason(said['reason'])}",
    "TransferFinalized": _transfer("for good: final is block"),
}
