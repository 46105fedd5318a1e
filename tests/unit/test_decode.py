"""Logs into events: what the ABI library writes we read back, and nothing that a node may send stops us."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import eth_abi
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connectors.chain.contracts import events as on_chain
from connectors.chain.contracts.decode import LAYOUTS, Layout, decode, decode_all
from connectors.chain.contracts.events import SHAPES, TOPICS
from connectors.chain.node.abi import argument_types, checksummed
from connectors.chain.node.bloom import bloom_bits, may_hold
from connectors.chain.node.logs import Log
from infra.errors import Undecodable

ALICE, BOB, CAROL = ("0x" + letter * 40 for letter in "abc")
HASH = "0x" + "77" * 32

# From the interfaces' sources, computed elsewhere.
PUBLISHED = """
Transfer 0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef
Spend 0xca8fbb9bda99848f447971eae62ad0ad2bc7caf9afcc0d8e4e8ffcf7e06bc28f
ConsumeAllowance 0x90355d540c2980efb4c360996dfc5405ee87e812e4f3db843857547cbdb5af65
SetAllowance 0x63d7ec44a20b176da1d60d75259d264ee67b3d8213706afa71a28f69ed8ebece
AssignRoles 0x9f8368fa4ddcbd561efd7ad2a2174235bf5b840a73fb18f20db9705c11462498
TransactionAdded 0x4c8a9c748e976c17c2eb2c2bc50da76eac9cd90ff529f0fe900e0c10a179f031
TxNonceSet 0xb80aa44b2e3f25cf4fbdf2a6c561d9a3d961528ccfc2097da3741fdf941d6d13
TxCooldownSet 0x3239d60f6914d8c19e95a27197b95d16742b9dc4470c79a1001412607f1ea4ae
TxExpirationSet 0x3dc4b742ac9e7885cc04b3b050add4727dd89dec6825e39fb55265a5a3be39f6
HashExecuted 0x8c8e19e7e8e193118a05465d7676e82215052d3cb150628fbf598105dc2bb6ab
HashInvalidated 0x89a77869d7b8125ba16e08a92ddc8cc26fb1fa47241971167954489a5e66c255
ExecutionSuccess 0x442e715f626346e8c54381002da614f62bee8d27386535b2521ec8540898556e
ExecutionFailure 0x23428b18acfb3ea64b08dc0c1d296ea9c09702c09083ca5272e64d115b687d23
ExecutionFromModuleSuccess 0x6895c13664aa4f67288b25d7a21d7aaa34916e355fb9b6fae0a139a9085becb8
ExecutionFromModuleFailure 0xacd2c8702804128fdb0db2bb49f6d127dd0181c13fd45dbfe16de0930e2bd375
AddedOwner 0x9465fa0c962cc76958e6373a993326400c1c94f8be2fe3a952adfa7f60b2ea26
RemovedOwner 0xf8d49fc529812e9a7c5c50e69c20f0dccc0db8fa95c98bc58cc9a4f1c1299eaf
EnabledModule 0xecdf3a3effea5783a3c4c2140e677577666428d44ed9d474a0b3a4c9943f8440
DisabledModule 0xaab4fa2b463f581b2b32cb3b7e3b704b9ce37cc209b5fb4d77e593ace4054276
ChangedThreshold 0x610f7ff2b304ae8903c3de74c60c6ab1f7d6226b3f52c5161905bb5ad4039c93
SafeReceived 0x3d0ce9bfc3ed7d6862dbb28b2dea94561fe714a1b4d019aa8af39730d1ad7c3d
ProxyCreation 0x4f51faf6c4561ff95f067657e43439f0f856d97c04d9ec9070a6199ad418e235
ModuleProxyCreation 0x2150ada912bf189ed721c44211199e270903fc88008c2a1e1e889ef30fe67c5f
"""


def a_log(*topics: str, data: bytes = b"", address: str = ALICE) -> Log:
    return Log(address, topics, "0x" + data.hex(), 7, HASH, HASH, 0, 3)


def word(kind: str, value: Any) -> str:
    encoded: bytes = eth_abi.encode([kind], [value])
    return "0x" + encoded.hex()


def written(layout: Layout, values: list[Any]) -> Log:
    """The log that a contract with this layout would emit for `values`."""
    topics = sorted((place, i) for i, (is_topic, place) in enumerate(layout.places) if is_topic)
    data = [(t, v) for t, v, (is_topic, _) in zip(layout.types, values, layout.places, strict=True) if not is_topic]
    body = eth_abi.encode([t for t, _ in data], [v for _, v in data])
    return a_log(layout.shape.topic0, *(word(layout.types[i], values[i]) for _, i in topics), data=body)


def values_of(kind: str) -> st.SearchStrategy[Any]:
    if kind.endswith("[]"):
        return st.lists(values_of(kind[:-2]), max_size=5)
    if kind.startswith("uint"):
        return st.integers(0, 2 ** int(kind[4:]) - 1)
    return {
        "address": st.binary(min_size=20, max_size=20).map(lambda b: "0x" + b.hex()),
        "bytes32": st.binary(min_size=32, max_size=32),
        "bytes": st.binary(max_size=200),
        "bool": st.booleans(),
    }[kind]


def as_we_say(value: Any) -> Any:
    if isinstance(value, bytes):
        return "0x" + value.hex()
    return tuple(map(as_we_say, value)) if isinstance(value, list) else value


ALL_LAYOUTS = [layout for layouts in LAYOUTS.values() for layout in layouts.values()]


@given(st.data())
def test_every_layout_reads_back_what_the_abi_library_wrote(data: st.DataObject) -> None:
    layout = data.draw(st.sampled_from(ALL_LAYOUTS))
    values = [data.draw(values_of(kind)) for kind in layout.types]
    event = decode(written(layout, values))
    assert type(event) is layout.shape.event
    assert [getattr(event, f.name) for f in fields(layout.shape.event)] == [as_we_say(v) for v in values]


def test_topics_are_the_published_ones() -> None:
    published = dict(line.split() for line in PUBLISHED.strip().splitlines())
    ours = {event.__name__: topic0 for event, topic0 in TOPICS.items()}
    assert {name: ours[name] for name in published} == published
    assert set(ours) - set(published) == {"SafeSetup", "OwnershipTransferred"}


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.event.__name__)
def test_an_event_has_a_field_for_each_argument_of_its_signature(shape: on_chain.Shape) -> None:
    assert len(fields(shape.event)) == len(argument_types(shape.signature))


def test_the_number_of_topics_tells_safe_1_3_from_1_4() -> None:
    """Safe 1.4 indexes the module, 1.3 does not: one event, two layouts, one value."""
    topic0 = TOPICS[on_chain.EnabledModule]
    old = a_log(topic0, data=bytes.fromhex(word("address", BOB)[2:]))
    new = a_log(topic0, word("address", BOB))
    assert decode(old) == decode(new) == on_chain.EnabledModule(BOB)


def test_an_amount_beyond_2_to_the_255_is_an_amount_like_any_other() -> None:
    log = a_log(
        TOPICS[on_chain.Transfer], word("address", ALICE), word("address", BOB), data=(2**256 - 1).to_bytes(32, "big")
    )
    assert decode(log) == on_chain.Transfer(ALICE, BOB, 2**256 - 1)


TOPICS_OF_A_TRANSFER = (TOPICS[on_chain.Transfer], word("address", ALICE), word("address", BOB))


def transfer(topics: Sequence[str] = TOPICS_OF_A_TRANSFER, data: bytes = bytes(32)) -> Log:
    return a_log(*topics, data=data)


MALFORMED = {
    "an NFT's Transfer, with the id as a fourth topic": transfer(topics=(*transfer().topics, HASH), data=b""),
    "too few topics": transfer(topics=transfer().topics[:2]),
    "no data": transfer(data=b""),
    "half a word": transfer(data=bytes(31)),
    "a word too many": transfer(data=bytes(64)),
    "an address with dirt in its padding": transfer(topics=(transfer().topics[0], HASH, transfer().topics[2])),
    "more than a uint128": a_log(
        TOPICS[on_chain.ConsumeAllowance], data=bytes(32) + (2**128).to_bytes(32, "big") + bytes(32)
    ),
    "more than a uint64": a_log(TOPICS[on_chain.SetAllowance], data=bytes(32 * 5) + (2**64).to_bytes(32, "big")),
    "an array that points out of the data": a_log(TOPICS[on_chain.AssignRoles], data=b"\x00" * 31 + b"\xff" * 65),
    "bytes that are cut off": a_log(
        TOPICS[on_chain.TransactionAdded], HASH, HASH, data=eth_abi.encode(["address", "uint256"], [ALICE, 0])
    ),
    "a flag that is neither true nor false": a_log(
        TOPICS[on_chain.AssignRoles],
        data=eth_abi.encode(["address", "bytes32[]", "uint256[]"], [ALICE, [bytes(32)], [7]]),
    ),
}


@pytest.mark.parametrize("log", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_log_is_named_with_its_place(log: Log) -> None:
    with pytest.raises(Undecodable, match=f"log 3 of block 7 .*{HASH}.*(malformed|layout)"):
        decode(log)


def test_one_bad_log_stops_no_other_and_strangers_are_counted() -> None:
    stranger, nameless = a_log(HASH), a_log(data=b"\x01")
    bad = MALFORMED["no data"]
    done = decode_all([transfer(), stranger, bad, nameless, stranger, transfer()])
    assert [event for _, event in done.events] == [on_chain.Transfer(ALICE, BOB, 0)] * 2
    assert done.unknown == {HASH: 2, "none": 1}
    assert [log for log, _ in done.malformed] == [bad]


@given(
    st.sampled_from([*TOPICS.values(), HASH]), st.lists(st.binary(min_size=32, max_size=32), max_size=3), st.binary()
)
@example(TOPICS[on_chain.SafeSetup], [bytes(32)], b"\xff" * 200)
def test_whatever_a_contract_emits_is_an_event_or_has_a_name(topic0: str, topics: list[bytes], data: bytes) -> None:
    log = a_log(topic0, *("0x" + topic.hex() for topic in topics), data=data)
    done = decode_all([log])
    assert len(done.events) + len(done.malformed) + done.unknown.total() == 1


# -- the door


def as_json(**other: Any) -> dict[str, Any]:
    record = {
        "address": checksummed(ALICE),
        "topics": [TOPICS[on_chain.HashExecuted]],
        "data": "0x" + "AB" * 32,
        "blockNumber": "0x10",
        "blockHash": HASH,
        "transactionHash": HASH,
        "transactionIndex": "0x0",
        "logIndex": "0x2",
    }
    return record | other


def test_a_nodes_log_becomes_a_value_once() -> None:
    log = Log.from_json(as_json())
    assert (log.address, log.block_number, log.index, log.removed) == (ALICE, 16, 2, False)
    assert decode(log) == on_chain.HashExecuted("0x" + "ab" * 32)


@pytest.mark.parametrize(
    "wrong",
    [
        {"address": "0x12"},
        {"address": "0x" + "zz" * 20},
        {"topics": ["0x12"]},
        {"topics": [HASH] * 5},
        {"topics": [f"{HASH} {HASH}"]},
        {"blockHash": f"{HASH} {HASH}"},
        {"topics": None},
        {"data": "0x123"},
        {"data": "12"},
        {"data": None},
        {"blockNumber": None},
        {"blockHash": None},
        {"logIndex": "two"},
    ],
    ids=str,
)
def test_what_is_no_log_of_a_mined_block_is_refused_at_the_door(wrong: dict[str, Any]) -> None:
    with pytest.raises(Undecodable):
        Log.from_json(as_json(**wrong))


# -- bloom


@given(st.lists(st.binary(min_size=20, max_size=32), min_size=1, max_size=30), st.binary(min_size=20, max_size=20))
def test_a_bloom_never_denies_what_is_in_it(items: list[bytes], other: bytes) -> None:
    texts = ["0x" + item.hex() for item in items]
    bloom = 0
    for text in texts:
        bloom |= bloom_bits(text)
    assert all(may_hold(f"0x{bloom:0512x}", [text]) for text in texts)
    assert may_hold(f"0x{bloom:0512x}", ["0x" + other.hex(), texts[0]])
    assert not may_hold("0x" + "00" * 256, ["0x" + other.hex()])
