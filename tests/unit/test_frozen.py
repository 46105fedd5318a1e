"""Every state that the product can come to is the same after it was kept; and other code has another fingerprint."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.errors import PayriverError
from streams.aggregates import AGGREGATES, fold
from streams.domain.states.account import Account
from streams.domain.states.payment import Payment
from streams.event_store import fingerprint as code
from streams.event_store.frozen import from_plain, to_plain
from streams.event_store.snapshots import digest_of, read
from streams.event_store.store import Head
from tests import golden
from tests.given import CUSTOMER, Streams, approved
from tests.unit.test_decisions import ORDERS, tellable


def again(state: Any) -> Any:
    """Through the JSON that PostgreSQL keeps."""
    return from_plain(type(state), json.loads(json.dumps(to_plain(state), sort_keys=True)))


@given(st.lists(st.sampled_from(ORDERS), max_size=25))
def test_any_state_is_the_same_after_it_was_kept(orders: list[Any]) -> None:
    streams = Streams()
    for order in orders:
        if tellable(streams, order):
            try:
                streams.when(order)
            except PayriverError:
                continue
    for state in streams.states.values():
        kept = again(state)
        assert kept == state
        for each in dataclasses.fields(state):
            assert type(getattr(kept, each.name)) is type(getattr(state, each.name)), each.name


def test_the_order_of_a_payments_legs_is_kept() -> None:
    folds = [fold(told[0].category, None, (each.message() for each in told)) for told in golden.streams(1).values()]
    legs = [list(state.legs) for state in folds if isinstance(state, Payment)]
    assert max(map(len, legs)) > 1
    assert legs == [list(again(state).legs) for state in folds if isinstance(state, Payment)]


@pytest.mark.parametrize("category", AGGREGATES)
def test_every_field_of_every_state_can_be_kept(category: str) -> None:
    with pytest.raises((KeyError, ValueError, TypeError, AttributeError)):
        from_plain(AGGREGATES[category].state, {})


def test_a_field_that_cannot_be_kept_is_named() -> None:
    @dataclasses.dataclass(frozen=True)
    class Odd:
        weight: float

    with pytest.raises(TypeError, match="float"):
        to_plain(Odd(1.5))


def test_a_kept_state_in_which_anything_was_changed_is_no_state() -> None:
    stream_id, head, mine = CUSTOMER, Head(7, b"\x01" * 32), code.fingerprint("account")
    plain = to_plain(approved().customer)
    row: dict[str, Any] = {
        "stream_id": stream_id,
        "folded_by": mine,
        "category": "account",
        "version": head.version,
        "head_hash": head.hash,
        "plain": plain,
        "digest": digest_of(stream_id, mine, "account", head, plain),
    }
    kept = read(**row)
    assert kept is not None and kept.state == approved().customer and isinstance(kept.state, Account)
    others = (uuid4(), b"\x02" * 32, "payment", 8, b"\x03" * 32, {**plain, "final_raw": "1"}, b"\x04" * 32)
    for name, other in zip(row, others, strict=True):
        assert read(**row | {name: other}) is None, name
    shapeless = {"account_id": str(stream_id)}
    digest = digest_of(stream_id, mine, "account", head, shapeless)
    assert read(**row | {"plain": shapeless, "digest": digest}) is None


def test_the_fingerprint_is_over_all_that_folds_and_nothing_that_decides() -> None:
    folding = code.sources("account")
    assert {
        "streams.domain.states.account",
        "streams.domain.states.allowance",
        "schemas.messages.account_events",
    } <= folding
    assert {"schemas.upcasters", "streams.event_store.frozen"} <= folding
    assert not {each for each in folding if "decisions" in each or "api" in each}
    assert code.fingerprint("account") != code.fingerprint("payment")


def test_other_code_has_another_fingerprint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, everything = code.fingerprint("account"), code.sources("account")
    for name in everything:
        copied = tmp_path.joinpath(*name.split(".")).with_suffix(".py")
        copied.parent.mkdir(parents=True, exist_ok=True)
        copied.write_bytes(code.ROOT.joinpath(*name.split(".")).with_suffix(".py").read_bytes())
    monkeypatch.setattr(code, "ROOT", tmp_path)
    code.fingerprint.cache_clear()
    assert code.fingerprint("account") == before
    changed = tmp_path / "streams" / "domain" / "states" / "allowance.py"
    changed.write_text(changed.read_text().replace("max(0, ", "max(1, "))
    code.fingerprint.cache_clear()
    assert code.fingerprint("account") != before
    monkeypatch.undo()
    code.fingerprint.cache_clear()
