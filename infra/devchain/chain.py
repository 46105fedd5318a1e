"""The development chain: customers' accounts as account-kit makes them, and everything that people do with them.

It plays the world outside (issuers, owners, merchants' processor, strangers) for the demo and the tests. It shares no code
with the product's own chain connector, so that each can be held against the other.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from eth_account import Account
from web3 import Web3

from infra.devchain.node import DevNode
from infra.devchain.scripting import run_script
from infra.devchain.values import (
    NEWER,
    SPENDING_ALLOWANCE,
    SPENDING_ROLE,
    AccountInfo,
    Deployment,
    Mastercopies,
    Sent,
    Withdrawal,
)

MNEMONIC = "test test test test test test test test test test test junk"  # anvil's own, known to everyone
DEPLOYER, SETTLEMENT, DELEGATE, RELAYER, OUTSIDER, ANCHOR = 0, 2, 3, 4, 5, 6
DAY_SECONDS = 86_400
COOLDOWN_SECONDS = 180
EXPIRATION_SECONDS = 7 * DAY_SECONDS


class DevChain(DevNode):
    """The chain at `rpc_url`, an anvil. Give `deployment` when the chain was set up by an earlier run."""

    def __init__(self, rpc_url: str, node_modules: Path, deployment: Deployment | None = None) -> None:
        super().__init__(rpc_url)
        self.node_modules = node_modules
        self._deployment = deployment

    @property
    def deployment(self) -> Deployment:
        assert self._deployment is not None, "deploy() first, or give the deployment of an earlier run"
        return self._deployment

    # -- setting up

    def deploy(self, *, twin: bool = False, symbol: str = "EURe") -> Deployment:
        """Puts everything on an empty chain (about 3 s). With `twin` the token has a front that logs each transfer again."""
        deployer, settlement, delegate, relayer, outsider, anchor = (
            development_key(i) for i in (DEPLOYER, SETTLEMENT, DELEGATE, RELAYER, OUTSIDER, ANCHOR)
        )
        made = self.script(
            "deploy",
            deployer=_address(deployer),
            deployerKey=deployer,
            settlement=_address(settlement),
            delegate=_address(delegate),
            twin=twin,
            name="Development EUR emoney",
            symbol=symbol,
            newer=asdict(NEWER),
        )
        self._deployment = Deployment(
            chain_id=made["chainId"],
            token=made["token"],
            twin=made["twin"],
            symbol=symbol,
            decimals=18,
            settlement=_address(settlement),
            spender_safe=made["spenderSafe"],
            spender_module=made["spenderModule"],
            roles_mastercopy=made["rolesMastercopy"],
            delay_mastercopy=made["delayMastercopy"],
            multicall=made["multicall"],
            delegate=_address(delegate),
            relayer=_address(relayer),
            anchor=_address(anchor),
            deployer_key=deployer,
            settlement_key=settlement,
            delegate_key=delegate,
            relayer_key=relayer,
            outsider_key=outsider,
            anchor_key=anchor,
        )
        return self._deployment

    def create_accounts(
        self,
        count: int,
        *,
        refill: int = 1_000 * 10**18,
        period_seconds: int = DAY_SECONDS,
        cooldown_seconds: int = COOLDOWN_SECONDS,
        expiration_seconds: int = EXPIRATION_SECONDS,
        mastercopies: Mastercopies | None = None,
    ) -> list[AccountInfo]:
        """New accounts with new owners (who get a little gas), each allowed to spend `refill` raw units a period.

        `mastercopies`: of another generation than account-kit's own.
        """
        keys = ["0x" + secrets.token_hex(32) for _ in range(count)]
        made = self.script(
            "accounts",
            owners=keys,
            deployer=_address(self.deployment.deployer_key),
            spenderSafe=self.deployment.spender_safe,
            settlement=self.deployment.settlement,
            asset=self.deployment.asset,
            allowance={"refill": str(refill), "period": period_seconds},
            delay={"cooldown": cooldown_seconds, "expiration": expiration_seconds},
            mastercopies=asdict(mastercopies) if mastercopies else None,
        )
        return [AccountInfo(owner_key=key, **account) for key, account in zip(keys, made, strict=True)]

    def account_query(
        self,
        safes: Sequence[str],
        *,
        block: str = "latest",
        cooldown_seconds: int = COOLDOWN_SECONDS,
        mastercopies: Mastercopies | None = None,
    ) -> Any:
        """What account-kit's own `accountQuery` says of each Safe: [{account, status, allowance}]. `block`: tag or 0x number."""
        return self.account_queries(safes, [block], cooldown_seconds=cooldown_seconds, mastercopies=mastercopies)[0]

    def account_queries(
        self,
        safes: Sequence[str],
        blocks: Sequence[str],
        *,
        cooldown_seconds: int = COOLDOWN_SECONDS,
        mastercopies: Mastercopies | None = None,
    ) -> Any:
        """The same at each of the blocks: a list for each."""
        told = asdict(mastercopies) if mastercopies else None
        return self.script(
            "query", accounts=list(safes), cooldown=cooldown_seconds, blocks=list(blocks), mastercopies=told
        )

    def copy_code(self, source: str, target: str) -> None:
        """The contract at `source` stands at `target` too; its storage does not."""
        self.ask("anvil_setCode", target, self.ask("eth_getCode", source, "latest"))

    def script(self, command: str, **order: Any) -> Any:
        """One of the set-up scripts (`scripts/main.mjs`) on this chain: what account-kit itself does and says."""
        return run_script(command, self.node_modules, rpc=self.rpc_url, **order)

    # -- money comes and goes

    def mint(self, to: str, raw: int) -> Sent:
        """A top-up: the issuer makes `raw` units for `to`."""
        return self.send(
            self.deployment.deployer_key, self.deployment.token, self.call("mint(address,uint256)", to, raw)
        )

    def transfer(self, key: str, to: str, raw: int) -> Sent:
        """A plain transfer by the holder of `key`."""
        return self.send(key, self.deployment.asset, self.call("transfer(address,uint256)", to, raw))

    def refund(self, account: AccountInfo, raw: int) -> Sent:
        """Settlement pays `raw` back. Not beside a running submitter: it counts the settlement key's nonces itself."""
        return self.transfer(self.deployment.settlement_key, account.safe, raw)

    def spend(
        self, account: AccountInfo, raw: int, *, salt: bytes | None = None, sender_key: str | None = None
    ) -> Sent:
        """A card payment that another processor sent: signed by the delegate, relayed by the account's owner or `sender_key`."""
        data = self.signed_spend(account, raw, salt=salt)
        return self.send(sender_key or account.owner_key, self.deployment.spender_module, data)

    def signed_spend(self, account: AccountInfo, raw: int, *, salt: bytes | None = None) -> bytes:
        """Call data of `spend` with salt and the delegate's signature behind it (EIP-712 ModuleTx)."""
        at = self.deployment
        data = self.call(
            "spend(address,address,address,uint256,bytes32)", at.asset, account.roles, at.settlement, raw, SPENDING_ROLE
        )
        salt = salt or secrets.token_bytes(32)
        signed = Account.sign_typed_data(
            at.delegate_key,
            {"chainId": at.chain_id, "verifyingContract": at.spender_module},
            {"ModuleTx": [{"name": "data", "type": "bytes"}, {"name": "salt", "type": "bytes32"}]},
            {"data": data, "salt": salt},
        )
        return bytes(data + salt + signed.signature)

    # -- what an owner does, through the Delay queue

    def enqueue(self, account: AccountInfo, to: str, data: bytes) -> Withdrawal:
        """The owner puts a call of its Safe into the queue (itself: the packaged Delay takes no signed orders)."""
        call = self.call("execTransactionFromModule(address,uint256,bytes,uint8)", to, 0, data, 0)
        return Withdrawal(account.delay, to, data, self.send(account.owner_key, account.delay, call))

    def execute(self, withdrawal: Withdrawal, *, key: str | None = None) -> Sent:
        """Anyone executes the queue's head. Mined with status 0 when it is not the head, too early or expired."""
        call = self.call("executeNextTx(address,uint256,bytes,uint8)", withdrawal.to, 0, withdrawal.data, 0)
        return self.send(key or self.deployment.outsider_key, withdrawal.delay, call)

    def enqueue_withdrawal(self, account: AccountInfo, to: str, raw: int) -> Withdrawal:
        return self.enqueue(account, self.deployment.asset, self.call("transfer(address,uint256)", to, raw))

    def execute_withdrawal(self, withdrawal: Withdrawal) -> Sent:
        return self.execute(withdrawal)

    def skip_expired(self, account: AccountInfo) -> Sent:
        """Drops the queue's expired entries: leaves no log."""
        return self.send(self.deployment.outsider_key, account.delay, self.call("skipExpired()"))

    def enqueue_limit(self, account: AccountInfo, refill: int, period_seconds: int = DAY_SECONDS) -> Withdrawal:
        """The owner asks for another limit: `refill` raw units a period, through the Bouncer."""
        call = self.call(
            "setAllowance(bytes32,uint128,uint128,uint128,uint64,uint64)",
            SPENDING_ALLOWANCE,
            *(refill, refill, refill),
            period_seconds,
            0,
        )
        return self.enqueue(account, account.bouncer, call)

    def set_limit(self, account: AccountInfo, refill: int, period_seconds: int = DAY_SECONDS) -> Sent:
        """Enqueues a limit, lets the cooldown pass on the chain's clock and executes it; returns when it is mined."""
        asked = self.enqueue_limit(account, refill, period_seconds)
        self.wait_receipts([asked.sent])
        self.advance_time(self.read(account.delay, "txCooldown()", "uint256") + 1)
        done = self.execute(asked)
        self.wait_receipts([done])
        return done

    # -- looking

    def balance(self, owner: str) -> int:
        """Raw token units of `owner` at the head."""
        return int(self.read(self.deployment.token, "balanceOf(address)", "uint256", owner))

    def read(
        self, to: str, signature: str, answer: str, *values: Any, block: int | Literal["latest"] = "latest"
    ) -> Any:
        """A view function's one answer, of type `answer`, at a block."""
        asked = {"to": Web3.to_checksum_address(to), "data": self.w3.to_hex(self.call(signature, *values))}
        data = self.w3.eth.call(asked, block)
        return self.w3.codec.decode([answer], bytes(data))[0]

    def call(self, signature: str, *values: Any) -> bytes:
        """Call data: `call("transfer(address,uint256)", to, raw)`. bytes32 values may be 0x-text."""
        types = [t for t in signature[signature.index("(") + 1 : -1].split(",") if t]
        plain = [
            bytes.fromhex(v[2:]) if t == "bytes32" and isinstance(v, str) else v
            for t, v in zip(types, values, strict=True)
        ]
        return bytes(Web3.keccak(text=signature)[:4]) + bytes(self.w3.codec.encode(types, plain))


def development_key(index: int) -> str:
    """The private key (0x and 64 hex digits) of anvil's development account `index`."""
    Account.enable_unaudited_hdwallet_features()
    return "0x" + bytes(Account.from_mnemonic(MNEMONIC, account_path=f"m/44'/60'/0'/0/{index}").key).hex()


def development_address(index: int) -> str:
    """The address (checksummed) of anvil's development account `index`; of the first ten, anvil itself signs."""
    return _address(development_key(index))


def _address(key: str) -> str:
    return str(Account.from_key(key).address)
