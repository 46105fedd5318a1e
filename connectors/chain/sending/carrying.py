"""The transaction that carries an intent: the same call for ever, only fee and nonce may differ."""

from __future__ import annotations

from collections.abc import Mapping

from connectors.chain.contracts.calls import salt_of
from connectors.chain.sending.fees import Bid
from connectors.chain.sending.keystore import Keyring
from connectors.chain.sending.signing import Key, SignedTransaction, TransactionOrder, sign_spend
from connectors.chain.sending.transactions import Intent

GAS: Mapping[str, int] = {"spend": 600_000, "refund": 120_000, "invalidation": 80_000}


def carry(intent: Intent, keys: Keyring, sender: Key, chain_id: int, nonce: int, bid: Bid) -> SignedTransaction:
    """Signed by `sender`, and a spend by its delegate before that. Raises NotSigned where one of the signers gives nothing."""
    call = intent.call_data
    if intent.kind == "spend":
        call = sign_spend(keys.delegate, chain_id, intent.target, call, salt_of(intent.leg_id)).call_data
    order = TransactionOrder(
        chain_id=chain_id,
        nonce=nonce,
        to=intent.target,
        data=call,
        gas=GAS[intent.kind],
        max_fee_wei=bid.max_fee_wei,
        tip_wei=bid.tip_wei,
    )
    return sender.sign_transaction(order)
