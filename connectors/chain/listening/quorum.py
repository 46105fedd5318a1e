"""What is not taken on one node's word: which block is final, and that a large sum moved. Who is outvoted is named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import structlog
from sqlalchemy import Engine

from connectors.chain.accounts.directory import Directory
from connectors.chain.listening import contradictions
from connectors.chain.node.endpoint import Question
from connectors.chain.node.rpc import Rpc
from connectors.chain.settings import ChainSettings
from infra.database import transaction
from streams.domain.chain.facts import Transfer

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Quorum:
    """Asks several nodes of one chain. Where there is one node only, its word is all there is.

    `database`: where it is counted who was outvoted.
    """

    rpc: Rpc
    chain: ChainSettings
    database: Engine | None = None
    _counted: Counter[str] = field(default_factory=Counter)

    def stands(self, number: int, block_hash: str) -> bool:
        """Whether the nodes that answer agree that this block stands at its height: the majority, and as many as the policy wants."""
        wanted = min(self.chain.quorum.nodes, len(self.rpc.pool.answering))
        if wanted < 2:
            return True
        said, count = self._vote(("eth_getBlockByNumber", [hex(number), False]), _hash_of)
        good = said == block_hash and count >= wanted
        if not good:
            log.error("quorum_missing", block_number=number, ours=block_hash, others=said, nodes=count, wanted=wanted)
        return good

    def attests(self, transfers: Iterable[Transfer], directory: Directory) -> bool:
        """Whether enough nodes have the receipts of the large ones among these transfers, in the same block, with the same logs.

        `directory`: whose transfers they are, and so in which token.
        """
        wanted = min(self.chain.quorum.nodes, len([each for each in self.rpc.pool.endpoints if each.banned is None]))
        return wanted < 2 or all(self._attested(each, wanted) for each in transfers if self._is_large(each, directory))

    def _is_large(self, transfer: Transfer, directory: Directory) -> bool:
        above, wallet = self.chain.quorum.above, directory.of_account(transfer.account_id)
        if above is None:
            return False
        token = self.chain.token_at(wallet.token) if wallet else None
        return token is None or transfer.amount_raw >= above * 10**token.decimals

    def _attested(self, transfer: Transfer, wanted: int) -> bool:
        said, count = self._vote(("eth_getTransactionReceipt", [transfer.tx_hash]), _receipt_of)
        good = count >= wanted and said is not None and said[0] == transfer.block.hash
        if not good:
            log.error("large_sum_not_attested", tx_hash=transfer.tx_hash, nodes=count, wanted=wanted)
        return good

    def _vote(self, question: Question, reads: Callable[[Any], Any]) -> tuple[Any, int]:
        said = self.rpc.pool.vote(question, reads)
        lies: Counter[str] = Counter()
        for each in self.rpc.pool.endpoints:
            lies[each.name] += each.lies
        if self.database is not None and (fresh := lies - self._counted):
            with transaction(self.database) as cursor:
                contradictions.count(cursor, self.chain.chain_id, contradictions.ENDPOINT_OUTVOTED, fresh)
            self._counted.update(fresh)
        return said


def _hash_of(answer: Any) -> str | None:
    return str(answer["hash"]).lower() if isinstance(answer, dict) else None


def _receipt_of(answer: Any) -> tuple[Any, ...] | None:
    if not isinstance(answer, dict) or not answer.get("blockHash"):
        return None
    logs = tuple((each["address"].lower(), tuple(each["topics"]), each["data"]) for each in answer.get("logs", ()))
    return str(answer["blockHash"]).lower(), answer.get("status"), logs
