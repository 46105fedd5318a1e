"""The signed bytes of a transaction of ours, held against the row that keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eth_account import Account
from eth_account.typed_transactions import TypedTransaction
from eth_utils.crypto import keccak
from hexbytes import HexBytes

from connectors.verify.report import Findings
from connectors.verify.walk import MALFORMED


def signed(
    findings: Findings, table: str, row: Mapping[str, Any], *, recover: bool = True
) -> tuple[dict[str, Any], str] | None:
    """What the bytes order, and who signed them (`recover=False`: as the row says). None: they are not the row's transaction; told already."""
    key, raw = row["tx_hash"], bytes(row["signed"])
    digest = "0x" + bytes(keccak(raw)).hex()
    if digest != key:
        findings.differ(table, key, digest, key, "column signed: the bytes are another transaction")
        return None
    try:
        told = TypedTransaction.from_bytes(HexBytes(raw)).as_dict()
        sender = str(Account.recover_transaction(raw)) if recover else row["sender"]
    except MALFORMED as error:
        findings.differ(table, key, repr(error), "an EIP-1559 transaction", "column signed")
        return None
    expected = {
        "chain_id": told["chainId"],
        "nonce": told["nonce"],
        "max_fee_wei": told["maxFeePerGas"],
        "sender": sender,
    }
    findings.compare(table, key, row, expected, "the signed bytes say otherwise")
    return told, sender
