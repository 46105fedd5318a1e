"""Spends and transactions: bytes that are the same for ever, and keys that show themselves nowhere."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from uuid import UUID

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from connectors.chain.contracts.calls import (
    SPENDING_ALLOWANCE,
    SPENDING_ROLE,
    is_spend,
    salt_of,
    spend_call,
    spend_hash,
    transfer_call,
)
from connectors.chain.node.errors import revert_reason
from connectors.chain.sending.keystore import load_signer, write_keystore
from connectors.chain.sending.signing import Signer, TransactionOrder, order_of, sign_spend
from infra.errors import Misconfigured

KEY = "0x" + "4c" * 32
ADDRESS = Account.from_key(KEY).address
TOKEN, ROLES, SETTLEMENT, SPENDER = ("0x" + digit * 40 for digit in "1234")
LEG = UUID("8f3c1d2e-0000-4000-8000-00000000abcd")


def typed(chain_id: int, module: str, data: bytes, salt: bytes) -> bytes:
    """The same hash by the EIP-712 library."""
    message = encode_typed_data(
        {"chainId": chain_id, "verifyingContract": module},
        {"ModuleTx": [{"name": "data", "type": "bytes"}, {"name": "salt", "type": "bytes32"}]},
        {"data": data, "salt": salt},
    )
    return bytes(keccak(b"\x19" + message.version + message.header + message.body))


@given(st.integers(1, 2**63), st.binary(max_size=300), st.binary(min_size=32, max_size=32))
def test_a_spends_hash_is_eip_712s(chain_id: int, data: bytes, salt: bytes) -> None:
    assert spend_hash(chain_id, SPENDER, data, salt) == typed(chain_id, SPENDER, data, salt)


def test_keys_of_role_and_allowance_are_the_hashes_of_their_names() -> None:
    assert "0x" + keccak(text="SPENDING_ROLE").hex() == SPENDING_ROLE
    assert "0x" + keccak(text="SPENDING_ALLOWANCE").hex() == SPENDING_ALLOWANCE


def test_calls_begin_with_the_published_selectors() -> None:
    assert transfer_call(SETTLEMENT, 1)[:4].hex() == "a9059cbb"
    call = spend_call(TOKEN, ROLES, SETTLEMENT, 5)
    assert call[:4].hex() == "8a320255" and is_spend(call) and not is_spend(transfer_call(SETTLEMENT, 1))


def test_one_leg_has_one_salt_and_one_hash() -> None:
    assert salt_of(LEG) == bytes(16) + LEG.bytes
    call = spend_call(TOKEN, ROLES, SETTLEMENT, 5)
    first, second = (sign_spend(Signer(KEY), 100, SPENDER, call, salt_of(LEG)) for _ in range(2))
    assert first == second and first.call_data == second.call_data
    assert first.call_data[: len(call)] == call and first.call_data[len(call) : -65] == salt_of(LEG)
    assert Account._recover_hash(first.hash, signature=first.call_data[-65:]) == ADDRESS == first.signer


def test_a_salt_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        spend_hash(100, SPENDER, b"", b"short")


def test_a_transaction_is_signed_the_same_way_every_time() -> None:
    order = TransactionOrder(100, 7, TOKEN, transfer_call(SETTLEMENT, 9), 80_000, max_fee_wei=10, tip_wei=99)
    first, second = (Signer(KEY).sign_transaction(order) for _ in range(2))
    assert first.raw == second.raw
    assert first.hash == "0x" + keccak(first.raw).hex()
    assert Account.recover_transaction(first.raw) == ADDRESS == first.sender
    told = order_of(first.raw)
    assert (told.nonce, told.data, told.gas, told.max_fee_wei, told.tip_wei) == (7, order.data, 80_000, 10, 10)


def test_a_signer_shows_its_address_and_never_its_key() -> None:
    signer = Signer(KEY)
    for text in (repr(signer), str(signer), f"{signer!r:>60}", str([signer])):
        assert ADDRESS in text and "4c4c" not in text.lower()
    for leak in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError, match="not pickled"):
            leak(signer)


def test_a_keystore_opens_with_its_password_only(tmp_path: Path) -> None:
    path, password = tmp_path / "delegate.json", SecretStr("correct horse")
    assert write_keystore(path, KEY, password) == ADDRESS
    assert "4c4c4c" not in path.read_text() and path.stat().st_mode & 0o077 == 0
    assert load_signer(path, password).address == ADDRESS
    with pytest.raises(Misconfigured, match=r"delegate.json cannot be opened.*wrong password") as error:
        load_signer(path, SecretStr("battery staple"))
    assert "battery" not in str(error.value) and error.value.__cause__ is None
    with pytest.raises(FileExistsError):
        write_keystore(path, KEY, password)


def test_a_keystore_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"none\.json cannot be read"):
        load_signer(tmp_path / "none.json", SecretStr(""))
    (tmp_path / "odd.json").write_text("[1]")
    with pytest.raises(Misconfigured, match=r"odd\.json cannot be opened"):
        load_signer(tmp_path / "odd.json", SecretStr(""))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("0x08c379a0" + "20".rjust(64, "0") + "2".rjust(64, "0") + b"no".hex().ljust(64, "0"), "no"),
        ("0x4e487b71" + "11".rjust(64, "0"), "panic 0x11"),
        ("0x" + keccak(text="HashAlreadyConsumed(bytes32)")[:4].hex() + "00" * 32, "HashAlreadyConsumed(bytes32)"),
        ("0xd0a9bf58" + "00" * 64, "ConditionViolation(uint8,bytes32)"),
        ("0x4a0bfec1" + "00" * 12 + "11" * 20, "NotAuthorized(address)"),
        ("0x12345678", "0x12345678"),
        ("0x08c379a0ff", "0x08c379a0"),
        ("0x", None),
        (None, None),
    ],
)
def test_a_revert_is_told_in_words(data: str | None, words: str | None) -> None:
    assert revert_reason(data) == words
