"""`payriver audit` as people type it, with the logins of the roles that may: what they are shown, what they take away, what is refused."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from pydantic import SecretStr

from api.cli.main import main
from connectors.anchoring import rows
from connectors.chain.sending.signing import Signer, TransactionOrder
from infra.audit import check
from infra.audit.check import Head
from infra.database import transaction
from infra.stack import access
from streams.audit_log.export_key import ExportKey, load_export_key, write_export_key
from streams.audit_log.filler import Filler
from tests.integration.audit_side import add, head_of
from tests.integration.conftest import Databases

PASSWORD = SecretStr("a password of the tests")


class People:
    """Those who run commands on a log with two anchors that are final by our rows, and some events after them."""

    def __init__(self, databases: Databases, folder: Path) -> None:
        self.databases, self.folder = databases, folder
        write_export_key(folder / "exports.pem", PASSWORD)
        self.key: ExportKey = load_export_key(folder / "exports.pem", PASSWORD)
        self.signer = Signer(b"\x0b" * 32)
        self.filler = Filler(databases.as_role("write", "audit"), databases.as_role("read", "audit"))
        self.heads = [self.anchor(100), self.anchor(50)]
        add(databases, 7)
        self.filler.catch_up(10)

    def anchor(self, count: int) -> Head:
        """More events, and an anchor over all."""
        add(self.databases, count)
        self.filler.catch_up(10)
        made = head_of(self.databases)
        head = Head(made.log_id, made.size, made.root, self.key.fingerprint)
        with transaction(self.filler.write) as cursor:
            order = TransactionOrder(100, head.size, self.signer.address, head.encode(), 60_000, 10, 1)
            rows.decide(cursor, head, self.signer.sign_transaction(order))
            cursor.execute(
                "UPDATE audit_transactions SET state = 'final', block_number = 7 WHERE nonce = %s", (head.size,)
            )
        return head

    def newest(self) -> tuple[str, int]:
        """(id, position) of the last event that is covered."""
        with transaction(self.filler.write) as cursor:
            cursor.execute(
                "SELECT event_id, position FROM events INNER JOIN audit_leaves USING (position) WHERE leaf_index = %s",
                (self.heads[1].size - 1,),
            )
            ((event_id, position),) = cursor.fetchall()
            return str(event_id), position

    def say(self, who: str, *words: str) -> subprocess.CompletedProcess[str]:
        """A command with the logins of a role (or of nobody), in the folder; as `main` runs it, without a process of its own."""
        told = {f"PAYRIVER_{server.upper()}_URL": self.url(server, who) for server in ("write", "read") if who}
        told |= {"PAYRIVER_KEYSTORE": str(self.folder), "PAYRIVER_KEYSTORE_PASSWORD": PASSWORD.get_secret_value()}
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            for name in [name for name in os.environ if name.startswith("PAYRIVER_")]:
                patch.delenv(name)
            for name, value in {**told, "COLUMNS": "200"}.items():
                patch.setenv(name, value)
            patch.chdir(self.folder)
            patch.setattr(sys, "argv", ["payriver", "audit", *words])
            with pytest.raises(SystemExit) as ended:
                main()
                sys.exit(0)
        return subprocess.CompletedProcess(words, int(ended.value.code or 0), out.getvalue(), err.getvalue())

    def well(self, who: str, *words: str) -> str:
        done = self.say(who, *words)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    def url(self, server: str, role: str) -> str:
        return access.database_url(self.databases.stack.home, server, role)


@pytest.fixture(scope="module")
def people(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> People:
    return People(databases, tmp_path_factory.mktemp("audit"))


def test_the_status_tells_size_root_anchors_and_what_is_not_covered(people: People) -> None:
    told = json.loads(people.well("auditor", "status", "--json"))
    first, second = people.heads
    assert (told["size"], told["covered"], told["not_covered"]) == (second.size + 7, second.size, 7)
    assert told["root"] == head_of(people.databases).root.hex() and told["log_id"] == second.log_id
    assert [each["data"] for each in told["anchors"][:2]] == ["0x" + each.encode().hex() for each in (second, first)]
    shown = people.well("auditor", "status")
    assert "7 not covered yet" in shown and told["anchors"][0]["transaction"] in shown


def test_an_event_is_proved_and_anyone_checks_the_file(people: People) -> None:
    event_id, position = people.newest()
    told = people.well("auditor", "prove", event_id)
    assert f"payriver audit check {event_id}.proof.json --anchor 0x" in told
    head = "0x" + people.heads[1].encode().hex()
    assert f"position {position}) is in the log of" in people.well(
        "", "check", f"{event_id}.proof.json", "--head", head
    )
    people.well("auditor", "prove", str(position), "--out", "same.json")
    text = (people.folder / f"{event_id}.proof.json").read_bytes()
    assert (people.folder / "same.json").read_bytes() == text
    place = text.index(b"Caf")
    (people.folder / "bad.json").write_bytes(text[:place] + b"c" + text[place + 1 :])
    refused = people.say("", "check", "bad.json", "--head", head)
    assert refused.returncode == 1 and "this event, as it stands here, is not in the log" in refused.stderr


def test_two_anchors_are_proved_to_be_of_one_log(people: People) -> None:
    sizes = [str(each.size) for each in people.heads]
    assert f"begins with the log of {people.heads[0].size:,}" in people.well("auditor", "consistency", *sizes[::-1])
    heads = [word for each in people.heads for word in ("--head", "0x" + each.encode().hex())]
    told = people.well("", "check", f"{'-'.join(sizes)}.consistency.json", *heads)
    assert f"the log of {sizes[1]} events begins with the log of {sizes[0]}" in told
    assert people.say("", "check", f"{'-'.join(sizes)}.consistency.json", *heads[:2]).returncode == 1


def test_a_period_is_exported_as_far_as_it_is_covered(people: People) -> None:
    with transaction(people.filler.write) as cursor:
        cursor.execute(
            "SELECT recorded_at FROM events INNER JOIN audit_leaves USING (position) WHERE leaf_index = %s",
            (people.heads[1].size,),
        )
        ((uncovered,),) = cursor.fetchall()
    period = ("--from", "2020-01-01", "--to", uncovered.isoformat())
    assert f"has {people.heads[1].size:,} events" in people.well("audit", "export", *period, "--out", "all")
    assert "are what the log has there" in people.well(
        "", "check", "all", "--head", "0x" + people.heads[1].encode().hex()
    )
    assert "all is there already" in people.say("audit", "export", *period, "--out", "all").stderr
    too_far = people.say("audit", "export", "--from", "2020-01-01", "--to", "2099-01-01", "--out", "more").stderr
    assert "not_covered" in too_far and "payriver audit anchor" in too_far and not (people.folder / "more").exists()
    assert check.check_export(people.folder / "all", people.heads[1])["count"] == people.heads[1].size


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("prove", "nonsense"), "neither an event's id nor a position"),
        (("prove", "999999999"), "no event 999999999"),
        (("prove", "1", "--anchor", "777777"), "no anchor 777777"),
        (("consistency", "soon", "500"), "'soon' is neither the size of an anchor nor the hash"),
        (("check", "nothing.json", "--head", "0x00"), "REFUSED"),
        (("export", "--from", "yesterday", "--to", "2026-01-01", "--out", "x"), "'yesterday' is no day or time"),
        (("anchor",), "PAYRIVER_CHAIN_FILE names no file"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(people: People, words: tuple[str, ...], said: str) -> None:
    done = people.say("audit", *words)
    assert done.returncode == 1 and said in done.stderr and "Traceback" not in done.stderr, done.stderr
