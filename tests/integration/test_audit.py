"""The audit on true data: it agrees with a river that was left alone, and names whatever is changed behind everybody's back."""

from __future__ import annotations

import random
from typing import Any
from uuid import UUID

import orjson
import pytest
from eth_utils.crypto import keccak
from rich.console import Console

from api.cli.explain import as_told, rendered
from api.cli.verify import show
from connectors.explain.find import find
from connectors.explain.gather import gather
from connectors.explain.story import Story, tell
from connectors.verify.report import Verification
from connectors.verify.settle import settle
from connectors.verify.verification import verify
from infra.database import transaction
from infra.errors import BadInput, NotFound
from tests.integration.little_river import LittleRiver
from tests.integration.lived_river import river
from tests.integration.tampering import a_row, columns, deleted, each_change, tables

__all__ = ["river"]


SEED = 20260301
EXEMPT: dict[str, set[str]] = {
    # Who runs, since when, until when: leases, clocks of writing, places to begin looking. Nothing is decided by them for good.
    "audit_anchors": {"decided_at"},
    "audit_transactions": {"signed_at", "broadcast_at", "marked_at"},
    "chain_blocks": {"visit", "recorded_at"},
    "chain_cursors": {"moved_at", "holder", "lease_until", "welcomes"},
    "chain_intents": {"planned_at"},
    "chain_transactions": {"reason", "signed_at", "marked_at", "broadcast_at", "looked_at"},
    "chain_wallets": {"state", "filled_block"},  # a wallet that is new again is read again, and told as waiting
    "checkpoints": {"moved_at", "next_offset"},  # ahead of the records: what would be skipped is found missing itself
    "command_answers": {"recorded_at"},
    "deliveries": {"delivered_at"},
    "outbox": {"number"},  # which slice a row lies in
    "parked_messages": {
        *("parked_id", "topic_id", "partition", "offset", "timestamp_ms", "reason", "error"),
        *("parked_at", "ended_at", "ended_by", "end_reason"),
    },
    "payments": {"change", "changed_in"},
    "saga_inbox": {"received_at"},
    "saga_steps": {"taken_at"},
    "saga_timeouts": {"due_at"},  # all but the deadline follow the policy of their day; that one has a test of its own
    "snapshots": {"recorded_at"},
    "sagas": {"lease_until", "started_at", "changed_at", "ended_at"},
    "schema_ids": {"recorded_at"},
    "webhook_actions": {"action", "done_by", "reason", "told", "done_at"},
    "webhook_secrets": {"secret", "made_at", "signs_until"},
    "webhook_attempts": {"started_at", "duration_ms", "status", "error"},
    "webhook_endpoints": {
        "url",
        "types_since",
        "event_types",
        "state",
        "reason",
        "enabled_at",
        "paused_until",
        "created_at",
    },
    "webhook_messages": {
        *("replayed_after", "next_attempt_at", "claimed_until", "reason", "created_at", "ended_at"),
    },
}
ROWS = {
    "command_answers": "answer <> '{\"events\": []}'",  # one that led to nothing, and came through nothing, leaves no trace
    "saga_timeouts": "state <> 'cancelled'",  # one that was cancelled may have no row
    "chain_blocks": "number > (SELECT min(number) FROM chain_blocks)",
    "parked_messages": "true",
}


DISPENSABLE = {"snapshots"}
"""Tables of which a row may go: it is made anew, and nobody trusts it."""


def audit(river: LittleRiver, *, ask_node: bool = False) -> Verification:
    """As `payriver verify` does it."""
    write, read = river.as_role("write", "auditor"), river.as_role("read", "auditor")
    return verify(write, read, river.settings, ask_node=ask_node, patience=0, keys=river.keys("auditor"))


def test_a_river_left_alone_agrees_with_itself_and_with_the_chain(river: LittleRiver) -> None:
    assert settle(river.as_role("write", "auditor"), river.as_role("read", "auditor"), 5).at_rest
    result = audit(river, ask_node=True)
    assert result.differences == ()
    assert result.ok and not result.skipped
    assert {"events", "holds", "approvals", "intents", "receipts", "balances on the chain"} <= result.checked.keys()
    assert orjson.loads(orjson.dumps(result.to_json()))["ok"] is True


@pytest.mark.parametrize("server", ["write", "read"])
def test_a_value_or_a_row_of_each_table_that_is_changed_is_found_and_named(river: LittleRiver, server: str) -> None:
    _tamper(river, server, columns_each=2)


@pytest.mark.long
@pytest.mark.parametrize("server", ["write", "read"])
def test_whatever_is_changed_in_whatever_table_is_found_and_named(river: LittleRiver, server: str) -> None:
    _tamper(river, server, columns_each=1000)


def _tamper(river: LittleRiver, server: str, columns_each: int) -> None:
    """Some columns of each table in a row drawn for each, and a whole row; afterwards all is as before."""
    draw, looked_at, missed = random.Random(SEED), 0, list[str]()
    with river.stack.postgres(server).superuser() as cursor:
        cursor.execute("SET session_replication_role = replica")  # no foreign key looks after our tampering
        for table in sorted(set(tables(cursor)) - {"migrations", "webhook_endpoints"}):
            deciding = [each for each in columns(cursor, table) if each.name not in EXEMPT.get(table, ())]
            for column in draw.sample(deciding, min(columns_each, len(deciding))):
                looked_at += _change(river, cursor, table, column, draw, missed)
            _delete(river, cursor, table, draw)
    assert missed == []
    assert looked_at > 10
    assert audit(river).differences == ()


def _change(river: LittleRiver, cursor: Any, table: str, column: Any, draw: random.Random, missed: list[str]) -> int:
    """Of a column with words: a row of each word, with every other word. Gives how many changes the table took."""
    taken = 0
    for what in each_change(cursor, table, column, ROWS.get(table, "true"), draw.randrange(1000)):
        taken += 1
        found = audit(
            river, ask_node=table.startswith(("chain_transactions", "chain_blocks", "chain_sightings", "audit_"))
        ).differences
        if not any(each.table == table for each in found):
            missed.append(f"{what}: {f'found, and not named: {found[0]}' if found else 'not found'}")
    return taken


def _delete(river: LittleRiver, cursor: Any, table: str, draw: random.Random) -> None:
    if table in DISPENSABLE:
        return
    ctid = a_row(cursor, table, ROWS.get(table, "true"), draw.randrange(1000))
    if ctid is None:
        return
    with deleted(cursor, table, ctid):
        found = audit(river, ask_node=table.startswith("audit_")).differences
        assert any(each.table == table for each in found), f"a row of {table} is gone; found: {found[:1]}"


def test_a_deadline_put_off_is_found(river: LittleRiver) -> None:
    with river.stack.postgres("write").superuser() as cursor:
        cursor.execute(
            "UPDATE saga_timeouts SET due_at = due_at + interval '1 s' WHERE name = 'deadline' RETURNING saga_id"
        )
        moved = {row[0] for row in cursor.fetchall()}
        assert moved and {each.table for each in audit(river).differences} == {"saga_timeouts"}
        cursor.execute("UPDATE saga_timeouts SET due_at = due_at - interval '1 s' WHERE name = 'deadline'")
    assert audit(river).ok


@pytest.mark.parametrize(("server", "table"), [("write", "sagas"), ("read", "payments")])
def test_rows_that_a_policy_hides_from_the_audit_end_it_and_are_told(
    river: LittleRiver, server: str, table: str
) -> None:
    with river.stack.postgres(server).superuser() as cursor:
        cursor.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY; CREATE POLICY hide ON {table} USING (false)")
        try:
            found = audit(river).differences
        finally:
            cursor.execute(f"DROP POLICY hide ON {table}; ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
    assert {each.table for each in found} == {table, "every table"}
    [ended] = [each for each in found if each.table == "every table"]
    assert "row-level security policy" in ended.found and f'"{table}"' in ended.found
    assert audit(river).ok


def test_a_table_behind_a_view_is_named_and_nothing_is_read_through_it(river: LittleRiver) -> None:
    with river.stack.postgres("write").superuser() as cursor:
        cursor.execute("ALTER TABLE sagas RENAME TO sagas_before; CREATE VIEW sagas AS SELECT * FROM sagas_before")
        try:
            result = audit(river)
        finally:
            cursor.execute("DROP VIEW sagas; ALTER TABLE sagas_before RENAME TO sagas")
    assert {each.table for each in result.differences} == {"sagas", "sagas_before"}
    assert any("nothing in them was read" in words for words in result.skipped) and "events" not in result.checked
    assert audit(river).ok


def test_a_stream_forged_with_all_its_copies_is_found_by_the_chain(river: LittleRiver) -> None:
    """Tokens that moved without a log: no table of ours can tell, the token's own balance does."""
    wallet, token = river.settings.settlement_address, river.deployment.token
    slot = _balance_slot(river, wallet, token)
    river.chain.ask("anvil_setStorageAt", token, slot, "0x" + (10**24).to_bytes(32, "big").hex())
    river.flow(10)
    found = audit(river, ask_node=True).differences
    assert {each.table for each in found} == {"balances"}
    assert any("at the final block" in each.about and each.expected == str(10**24) for each in found)


def _balance_slot(river: LittleRiver, wallet: str, token: str) -> str:
    balance = river.chain.balance(wallet)
    for place in range(60):
        slot = "0x" + keccak(bytes.fromhex(wallet[2:]).rjust(32, b"\0") + place.to_bytes(32, "big")).hex()
        if int(river.chain.ask("eth_getStorageAt", token, slot, "latest"), 16) == balance:
            return slot
    raise AssertionError("the token keeps its balances somewhere else")


def test_a_key_that_is_where_it_should_not_be_or_is_not_where_it_should_is_named(river: LittleRiver) -> None:
    with river.stack.postgres("read").superuser("keys") as cursor:
        cursor.execute(
            "UPDATE person_keys SET secret = sha256('x'), destroyed_at = NULL WHERE secret IS NULL RETURNING person_id"
        )
        ((back,),) = cursor.fetchall()
        [found] = audit(river).differences
        assert (found.table, found.key) == ("person_keys", str(back)) and "sweep" in found.about
        assert river.persons.sweep() == 1 and audit(river).ok
        cursor.execute(
            "CREATE TEMP TABLE kept AS SELECT * FROM person_keys; DELETE FROM person_keys WHERE secret IS NOT NULL"
        )
        assert [each.table for each in audit(river).differences] == ["person_keys"]
        cursor.execute("INSERT INTO person_keys SELECT * FROM kept WHERE secret IS NOT NULL; DROP TABLE kept")
    assert audit(river).ok


def test_poison_that_nobody_ended_waits_for_a_person(river: LittleRiver) -> None:
    river.poison("accounts.events")
    river.pump()
    found = audit(river).differences
    assert {each.table for each in found} == {"parked_messages"}
    assert all(each.about.startswith("waits for a person") for each in found)
    assert {each.key.split("(")[1] for each in found} == {"notifications)", "projections)"}


def test_the_story_of_a_refunded_payment_is_whole(river: LittleRiver) -> None:
    story = the_story(river, outcome="refunded")
    told = [each.what for each in story.moments]
    assert [each.at for each in story.moments] == sorted(each.at for each in story.moments)
    assert {each.lane for each in story.moments} == {"payment", "account", "saga", "chain", "webhook"}
    for words in (
        "that nobody had asked us about was seen on chain",
        "the card is frozen (card_frozen)",
        "declining → refunding",
        "a refund (settlement to Safe) of 3.00 EUR is planned",
        "was signed and stored",
        "the refund is final",
        "card.transaction.refunded told to",
    ):
        assert any(words in each for each in told), words
    assert any("payments.events/" in line for each in story.moments for line in each.details)
    assert any("ledger: posted" in line for each in story.moments for line in each.details)
    assert story.missing == ["the spend was not sent by us: there is no intent and no transaction of ours for it"]
    assert orjson.loads(orjson.dumps(as_told(story, "test"), default=str))["moments"][0]["since_start_ms"] == 0


def test_a_payment_underway_says_what_is_open(river: LittleRiver) -> None:
    story = the_story(river, outcome="open")
    assert any("the spend is not final" in each for each in story.missing)
    assert any("a timeout waits: expiry" in each for each in story.missing)


def test_a_payment_is_found_by_id_beginning_reference_key_and_transaction(river: LittleRiver) -> None:
    story = the_story(river, outcome="settled", origin="network")
    payment_id, sent = story.record.payment_id, story.record.transactions[0]["tx_hash"]
    for wanted in (str(payment_id), payment_id.hex[:8], "RRN-1", "approved", sent):
        assert found(river, wanted) == payment_id
    with pytest.raises(NotFound):
        found(river, "0x" + "00" * 32)
    with pytest.raises(BadInput, match="too short"):
        found(river, payment_id.hex[:4])


def test_both_can_be_shown(river: LittleRiver) -> None:
    console = Console(width=140, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    console.print(rendered(the_story(river, outcome="refunded"), "test"))
    show(console, audit(river))
    text = console.export_text()
    assert "On the chain" in text and "In the ledger" in text and "waits for a person" in text


def found(river: LittleRiver, wanted: str) -> UUID:
    """As `explain` finds it."""
    with transaction(river.as_role("write", "auditor")) as write, transaction(river.as_role("read", "auditor")) as read:
        return find(write, read, wanted)[0]


def the_story(river: LittleRiver, outcome: str, origin: str = "%") -> Story:
    """Of the newest payment with this outcome."""
    with transaction(river.as_role("write", "auditor")) as write, transaction(river.as_role("read", "auditor")) as read:
        read.execute(
            "SELECT payment_id FROM payments WHERE outcome = %s AND origin LIKE %s ORDER BY requested_at DESC LIMIT 1",
            (outcome, origin),
        )
        ((payment_id,),) = read.fetchall()
        return tell(gather(write, read, payment_id))
