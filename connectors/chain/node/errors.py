"""What a node may answer instead of a result, each by its own name.

RpcUnreachable (Retry)     no node answered well, after all tries
RpcRefused                 the node answered: no
├── RangeTooWide           eth_getLogs over more than it gives at once
├── UnknownBlock           it has no such block (any more, or yet), or has pruned its state
├── AlreadyKnown           that transaction is in its pool
├── NonceTooLow            that nonce was used
├── Underpriced            the fee is too low, or too low to replace another
├── NoFunds                the sender cannot pay the gas
└── CallReverted           the contract refused; `data` are its own words
"""

from __future__ import annotations

import re
from typing import Any

from connectors.chain.node.abi import answers, selector
from infra.errors import PayriverError, Undecodable, Unreachable


class RpcUnreachable(Unreachable):
    """No node answered well, after all tries."""


class RpcRefused(PayriverError):
    """The node answered with a JSON-RPC error. `code` and `data` as it gave them."""

    reason = "rpc_refused"

    def __init__(self, method: str, code: int, message: str, data: Any = None) -> None:
        super().__init__(f"{method}: {message} (code {code})")
        self.method, self.code, self.message, self.data = method, code, message, data


class RangeTooWide(RpcRefused):
    """Asked for more blocks or logs than the node gives at once; ask for fewer."""

    reason = "range_too_wide"

    @property
    def limit(self) -> int | None:
        """The most blocks that it says it gives at once; None where it counts logs, or does not say."""
        return range_limit(self.message)

    @property
    def counted(self) -> bool:
        """Whether it is the logs that were too many, not the blocks."""
        return bool(COUNTED.search(self.message.replace("eth_getLogs", "")))

    @property
    def hint(self) -> int | None:
        """How many blocks it says would do for this question."""
        return range_hint(self.message) or self.limit


class UnknownBlock(RpcRefused):
    """The node has no such block, or no state of it."""

    reason = "unknown_block"


class AlreadyKnown(RpcRefused):
    """The transaction is in the node's pool."""

    reason = "already_known"


class NonceTooLow(RpcRefused):
    """A mined transaction has used that nonce."""

    reason = "nonce_too_low"


class Underpriced(RpcRefused):
    """The fee is too low, or too low to replace the transaction at that nonce."""

    reason = "underpriced"


class NoFunds(RpcRefused):
    """The sender cannot pay for the gas."""

    reason = "no_funds"


class CallReverted(RpcRefused):
    """The contract refused. `said` is its own reason where it gave one."""

    reason = "call_reverted"

    @property
    def said(self) -> str:
        return revert_reason(self.data) or self.message


WORDINGS: tuple[tuple[type[RpcRefused], re.Pattern[str]], ...] = tuple(
    (kind, re.compile(text, re.IGNORECASE))
    for kind, text in (
        (CallReverted, r"revert|VM (execution )?error|out\s?of\s?gas|invalid opcode|execution aborted"),
        (AlreadyKnown, r"already\s?known|already imported|known transaction|already in (the )?mempool|existing tx with same hash"),
        (NonceTooLow, r"nonce (is )?too low|OldNonce|nonce has already been used"),
        (Underpriced, r"underpriced|fee too low|FeeTooLow|max fee per gas less than block base fee|gas price.* too low"
                      r"|ReplacementNotAllowed|could not replace existing|another transaction with same nonce"),
        (NoFunds, r"insufficient\s?(funds|balance|MaxFeePerGas for sender balance)|upfront cost exceeds"),
        (RangeTooWide, r"range (is )?too (large|wide)|block range|max(imum)? range|ranges? over|range limit|range exceeds"
                       r"|too many (results|logs|blocks)|more than [\d,]+ (results|logs)|(results|logs) [^.]*limit|max results"
                       r"|response (is )?too (big|large)|response size|limit(ed)? (exceeded|to)|query (returned more|exceeds)"
                       r"|number of requested blocks"),
        (UnknownBlock, r"unknown block|block not found|header not found|missing trie node|state .*(not|un)available"
                       r"|BlockOutOfRange|pruned|resource not found"),
    )
)  # fmt: skip
"""Nodes agree on no codes; they are told apart by their wording, the first that fits."""


def refused(method: str, error: dict[str, Any]) -> RpcRefused:
    """The named error of a JSON-RPC error object."""
    message, code = str(error.get("message", "")), error.get("code")
    kind = next((kind for kind, wording in WORDINGS if wording.search(message)), RpcRefused)
    return kind(method, code if isinstance(code, int) else 0, message, error.get("data"))


NUMBER = re.compile(r"(\d[\d,_]*)\s*(k)?\b", re.IGNORECASE)
COUNTED = re.compile(r"results|logs|response", re.IGNORECASE)
UP_TO = re.compile(r"up to an? [\dk,]+ block range", re.IGNORECASE)
BETWEEN = re.compile(r"\[?\b(0x[0-9a-f]+|\d{2,})\s*[,-]\s*(0x[0-9a-f]+|\d{2,})\b\]?", re.IGNORECASE)


def range_limit(message: str) -> int | None:
    """The most blocks a provider says it gives at once, whatever its words; None: it counts logs, or names no number."""
    said = message.replace("eth_getLogs", "")
    up_to = UP_TO.search(said)
    if COUNTED.search(said) and not up_to:
        return None
    numbers = NUMBER.findall(up_to[0] if up_to else said)  # what was asked for comes first, where it is repeated at all
    digits, thousand = numbers[-1] if numbers else ("0", "")
    return int(re.sub(r"\D", "", digits)) * (1000 if thousand else 1) or None


def range_hint(message: str) -> int | None:
    """How many blocks the range has that a provider proposes instead ("try with this block range [0x1, 0x3e8]")."""
    if not re.search(r"try|retry|should work", message, re.IGNORECASE):
        return None
    found = BETWEEN.search(message)
    if not found:
        return None
    first, last = (int(text, 0) for text in found.groups())
    return last - first + 1 if last >= first else None


PANIC = "Panic(uint256)"
ERROR = "Error(string)"
CUSTOM_ERRORS = {
    "0x" + selector(signature).hex(): signature
    for signature in (
        "NotAuthorized(address)",
        "HashAlreadyConsumed(bytes32)",
        "ConditionViolation(uint8,bytes32)",
        "NoMembership()",
        "ModuleTransactionFailed()",
    )
}


def revert_reason(data: Any) -> str | None:
    """A revert's data in words: its text, or the name of a custom error of our contracts, or the bare selector."""
    if not isinstance(data, str) or len(data) < 10:
        return None
    head, body = data[:10].lower(), bytes.fromhex(data[10:])
    try:
        if head == "0x" + selector(ERROR).hex():
            return str(answers(["string"], body)[0])
        if head == "0x" + selector(PANIC).hex():
            return f"panic {answers(['uint256'], body)[0]:#x}"
    except Undecodable:
        return head
    return CUSTOM_ERRORS.get(head, head)
