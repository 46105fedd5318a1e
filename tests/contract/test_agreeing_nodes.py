"""What is for good is said by a majority of the nodes that are named: whoever is away, lies, or does not know."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest

from tests.contract.test_pool import at_height
from tests.contract.test_rpc import good, http, hurried, serving, told


def with_nonce(nonce: int | None) -> Callable[[Any], Any]:
    """A node whose sender has sent so many; None: it does not have that block yet."""
    unknown = {"code": -32000, "message": "header not found"}
    return told(lambda q: {"id": q["id"]} | ({"error": unknown} if nonce is None else {"result": hex(nonce)}))


@pytest.mark.parametrize(
    ("nonces", "wanted", "agreed"),
    [
        ((9,), 2, 9),  # the word of the only node
        ((9, 3), 1, 9),
        ((9, 9), 2, 9),
        ((9, 3), 2, None),
        ((9, None), 2, None),
        ((9, 3, 3), 2, 3),
        ((None, 3, 3), 2, 3),
        ((9, 3, 3), 3, 3),  # of three one may be away, or lie, whatever number of them must name a final block
        ((None, 3, 3), 3, 3),
        ((9, 9, None, None, None), 2, None),  # two of five are no majority
        ((9, 9, 9, 3, None), 2, 9),
    ],
)
def test_the_nonce_that_ends_a_transfer_for_ever_is_not_taken_on_one_nodes_word(
    nonces: tuple[int | None, ...], wanted: int, agreed: int | None
) -> None:
    with ExitStack() as opened:
        rpc = hurried(*(opened.enter_context(serving(with_nonce(each))) for each in nonces))
        assert rpc.final_nonce("0x" + "aa" * 20, 7, wanted) == agreed


def test_what_ends_for_ever_waits_for_no_node_that_is_away_while_most_are_there(
    capsys: pytest.CaptureFixture[str],
) -> None:
    sender = "0x" + "aa" * 20
    with serving(with_nonce(9)) as one, serving(with_nonce(9)) as other, serving(http(503)) as away:
        rpc = hurried(away, one, other)
        for _ in range(4):  # also once it rests
            assert rpc.final_nonce(sender, 7, 3) == 9
        assert hurried(one, away).final_nonce(sender, 7, 2) is None, "of two, one is no majority"
        two = hurried(one, away)
        two.pool.endpoints[1].rests_until = time.monotonic() + 60
        assert two.final_nonce(sender, 7, 2) is None
    assert f"away=['{two.pool.endpoints[1].name}']" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("heights", "wanted", "height"),
    [((9, 5), 1, 9), ((9, 5), 2, 5), ((99, 5, 7), 2, 7), ((99, 5, None), 2, 5), ((8, None), 2, 8)],
)
def test_a_block_is_final_where_most_nodes_have_come_to(
    heights: tuple[int | None, ...], wanted: int, height: int
) -> None:
    with ExitStack() as opened:
        rpc = hurried(
            *(opened.enter_context(serving(good(None) if each is None else at_height(each))) for each in heights)
        )
        assert rpc.height("finalized", wanted) == height


def test_of_a_senders_nonces_none_is_hidden_by_one_node() -> None:
    with ExitStack() as opened:
        rpc = hurried(*(opened.enter_context(serving(with_nonce(each))) for each in (3, 9, None)))
        assert rpc.highest_nonce("0x" + "aa" * 20, 7) == 9
