"""The calls that move money, as bytes, and the hash by which a signed spend is known for ever. Pure.

Spend: EIP-712, primary type ModuleTx{bytes data; bytes32 salt}, domain {chainId, verifyingContract}; the contract refuses
a hash that it has seen (zodiac, SignatureChecker.sol and Modifier.sol).
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from eth_utils.crypto import keccak

from connectors.chain.node.abi import call_data, selector

SPENDING_ROLE = "0x349476e3982666749979c85ce800cd2947a4b8dc9fe20a01a00a1b526072a8a3"  # keccak("SPENDING_ROLE")
SPENDING_ALLOWANCE = (
    "0xfe687fc128d1915040376d20ccb1bf40d838ddd82bf9b0ba3da683cc2a251623"  # keccak("SPENDING_ALLOWANCE")
)

_DOMAIN_TYPE = keccak(text="EIP712Domain(uint256 chainId,address verifyingContract)")
_MODULE_TX_TYPE = keccak(text="ModuleTx(bytes data,bytes32 salt)")


SPEND = "spend(address,address,address,uint256,bytes32)"


def transfer_call(recipient: str, amount_raw: int) -> bytes:
    """ERC-20 `transfer`: a refund, sent by settlement to the token."""
    return call_data("transfer(address,uint256)", recipient, amount_raw)


def spend_call(asset: str, roles: str, receiver: str, amount_raw: int, role_key: str = SPENDING_ROLE) -> bytes:
    """`spend` of the Spender module: `amount_raw` of `asset` from the account behind `roles` to `receiver`."""
    return call_data(SPEND, asset, roles, receiver, amount_raw, role_key)


def salt_of(leg_id: UUID) -> bytes:
    """The salt of a leg's spend: its id as bytes32 (left-padded), so one leg has one hash."""
    return leg_id.bytes.rjust(32, b"\x00")


def spend_hash(chain_id: int, spender_module: str, call: bytes, salt: bytes) -> bytes:
    """The 32 bytes that the delegate signs, that `HashExecuted` tells and that `consumed(signer, hash)` answers for."""
    if len(salt) != 32:
        raise ValueError(f"a salt has 32 bytes, this one {len(salt)}")
    domain = keccak(bytes(_DOMAIN_TYPE) + chain_id.to_bytes(32, "big") + _padded(spender_module))
    message = keccak(bytes(_MODULE_TX_TYPE) + bytes(keccak(call)) + salt)
    return bytes(keccak(b"\x19\x01" + bytes(domain) + bytes(message)))


def typed_spend(chain_id: int, spender_module: str, call: bytes, salt: bytes) -> dict[str, Any]:
    """The same as EIP-712 JSON: what a signer that is not ours is asked to sign, and can show to people."""
    return {
        "types": {
            "EIP712Domain": [{"name": "chainId", "type": "uint256"}, {"name": "verifyingContract", "type": "address"}],
            "ModuleTx": [{"name": "data", "type": "bytes"}, {"name": "salt", "type": "bytes32"}],
        },
        "primaryType": "ModuleTx",
        "domain": {"chainId": chain_id, "verifyingContract": spender_module},
        "message": {"data": "0x" + call.hex(), "salt": "0x" + salt.hex()},
    }


def signed_call(call: bytes, salt: bytes, signature: bytes) -> bytes:
    """Call data that anyone may relay: the call, its salt, and the delegate's signature r ‖ s ‖ v (65 bytes)."""
    return call + salt + signature


def invalidate_call(spend: bytes) -> bytes:
    """The signer takes its signed spend back; must be sent by the signer itself."""
    return call_data("invalidate(bytes32)", spend)


def is_spend(call: bytes) -> bool:
    """Whether the call data is one of `spend`."""
    return call[:4] == selector(SPEND)


def _padded(address: str) -> bytes:
    return bytes.fromhex(address[2:]).rjust(32, b"\x00")
