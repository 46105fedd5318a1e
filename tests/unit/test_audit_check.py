"""The auditor's checker: heads byte by byte, and files that are refused before any hash is made."""

from __future__ import annotations

import ast
import hashlib
import json
import socketserver
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from infra.audit import check
from infra.audit.check import Head, Refused, leaf_hash

LEAF = json.dumps({"event_id": "e", "position": 1, "type": "PaymentExpired"}, separators=(",", ":"), sort_keys=True)
ONE = Head("0b1f0a2e6a525d5b9d0a2f7f1c3b9c11", 1, leaf_hash(LEAF.encode()), bytes(32))


def proof(**changed: Any) -> bytes:
    """The proof of the one event of a log, with some fields changed."""
    told = {
        "format": check.PROOF,
        "index": 0,
        "leaf": LEAF,
        "log_id": ONE.log_id,
        "path": [],
        "root": ONE.root.hex(),
        "size": 1,
    }
    return check.canonical({name: value for name, value in {**told, **changed}.items() if value is not None}) + b"\n"


def test_a_head_is_97_bytes_each_in_its_place() -> None:
    text = ONE.encode()
    assert len(text) == check.HEAD_BYTES == 97
    assert text[:9] == b"payriver\x01" and text[9:25].hex() == ONE.log_id
    assert text[25:33] == bytes([0] * 7 + [1]) and text[33:65] == ONE.root and text[65:] == bytes(32)


@given(st.uuids(), st.integers(0, 2**64 - 1), st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_a_head_is_read_as_it_was_written(log_id: Any, size: int, root: bytes, key: bytes) -> None:
    head = Head(log_id.hex, size, root, key)
    assert Head.parse(head.encode()) == head


@pytest.mark.parametrize(
    "text", [b"", ONE.encode()[:-1], ONE.encode() + b"\0", b"payriver\x02" + ONE.encode()[9:], b"x" * 97]
)
def test_what_is_no_head_is_refused(text: bytes) -> None:
    with pytest.raises(Refused, match="no head"):
        Head.parse(text)


@pytest.mark.parametrize("words", [check.CLOSING, check.CONSISTENCY, check.EXPORT])
def test_a_merchant_who_is_called_like_one_of_our_files_is_proved_like_any_other(tmp_path: Path, words: str) -> None:
    leaf = check.canonical({"event_id": words, "position": 1, "type": "PaymentRequested"}).decode()
    head = Head(ONE.log_id, 1, leaf_hash(leaf.encode()), bytes(32))
    path = tmp_path / "event.proof.json"
    path.write_bytes(proof(leaf=leaf, root=head.root.hex()))
    assert check.main([str(path), "--head", head.encode().hex()]) == 0


@pytest.mark.parametrize("words", [check.PROOF, check.CONSISTENCY])
def test_a_closing_whose_reason_names_another_file_of_ours_is_a_closing(tmp_path: Path, words: str) -> None:
    texts = dict.fromkeys(("because", "broken", "closed_at", "closed_by", "log_id", "root", "witness_root"), words)
    record = check.canonical({"format": check.CLOSING, "size": 1, "witness_size": 1, **texts}) + b"\n"
    path = tmp_path / "old.closing.json"
    path.write_bytes(record)
    assert check.main([str(path), "--head", Head(check.next_log(record), 1, bytes(32), bytes(32)).encode().hex()]) == 0


def test_the_proof_of_a_log_of_one_is_the_leaf_alone() -> None:
    assert check.check_proof(proof(), ONE)["type"] == "PaymentExpired"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "no JSON"),
        (b"\xff\xfe\n", "no JSON"),
        (b"[" * 1_000_000, "no JSON of ours"),
        (b'{"leaf":' * 1_000_000, "no JSON of ours"),
        (proof(path=None), "the fields"),
        (proof(more=1), "the fields"),
        (proof(size=True), "the fields"),
        (proof(size=1.0), "the fields"),
        (proof(format="payriver-audit-proof/2"), "it is no payriver-audit-proof/1"),
        (proof().replace(b'"index":0', b'"index":0,"index":0'), "canonical"),
        (proof().replace(b":", b": ", 1), "canonical"),
        (proof()[:-1], "canonical"),
        (proof() + b"\n", "canonical"),
        (proof(leaf="\\ud800").replace(b"\\\\ud800", b"\\ud800"), "no JSON"),
        (proof(root=ONE.root.hex().upper()), "the file says root"),
        (proof(path=[ONE.root.hex().upper()]), "lower-case hex"),
        (proof(path=["00"]), "lower-case hex"),
        (proof(path=[5]), "lower-case hex"),
        (proof(index=1), "not below the size"),
        (proof(index=-1), "not below the size"),
        (proof(path=["00" * 32]), "too long"),
        (proof(leaf=LEAF.replace("Expired", "expired")), "not in the log"),
    ],
)
def test_a_file_that_is_not_as_it_must_be_is_refused(text: bytes, said: str) -> None:
    with pytest.raises(Refused, match=said):
        check.check_proof(text, ONE)


@given(st.binary(max_size=300))
def test_no_bytes_break_the_checker(text: bytes) -> None:
    with pytest.raises(Refused):
        check.check_proof(text, ONE)


NONSENSE = {
    "no HTTP": b"nonsense\r\n",
    "cut off": b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{}",
    "no JSON": b"HTTP/1.1 200 OK\r\n\r\nnonsense",
    "a number": b'HTTP/1.1 200 OK\r\n\r\n{"result": 5}',
    "numbers": b'HTTP/1.1 200 OK\r\n\r\n{"result": {"hash": 5, "status": "0x1", "from": 5}}',
    "nothing": b"HTTP/1.1 200 OK\r\n\r\n[]",
    "far too deep": b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 100_000,
}


@pytest.mark.parametrize("answer", NONSENSE.values(), ids=NONSENSE.keys())
def test_a_node_that_talks_nonsense_proves_nothing_and_is_refused_with_a_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], answer: bytes
) -> None:
    path = tmp_path / "proof.json"
    path.write_bytes(proof())

    class Node(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65_536)
            self.request.sendall(answer)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Node) as node:
        threading.Thread(target=node.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{node.server_address[1]}"
        assert check.main([str(path), "--anchor", "0x" + "5d" * 32, "--rpc", url, "--sender", "0x" + "7" * 40]) == 1
        node.shutdown()
    assert capsys.readouterr().err.startswith("REFUSED: ")


def test_the_checker_imports_nothing_but_pythons_own_library() -> None:
    tree = ast.parse(Path(check.__file__).read_text())
    named = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    named += [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert {name.split(".")[0] for name in named} <= sys.stdlib_module_names


def test_the_command_line_says_what_it_needs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "proof.json"
    path.write_bytes(proof())
    assert check.main([str(path), "--head", "0x" + ONE.encode().hex()]) == 0
    assert "in order: event e" in capsys.readouterr().out
    for words, said in (
        ([], "1 head is needed to check this, 0 given: --head 0x..., or --anchor TX --rpc URL --sender ADDRESS"),
        (["--anchor", "0x00"], "--anchor needs --rpc and --sender"),
        (["--head", "0x00"], "no head"),
        (["--head", "zz"], "REFUSED"),
        (["--head", ONE.encode().hex(), "--head", ONE.encode().hex()], "1 head is needed to check this, 2 given"),
    ):
        assert check.main([str(path), *words]) == 1
        assert said in capsys.readouterr().err
    assert check.main([str(tmp_path / "none.json"), "--head", ONE.encode().hex()]) == 1
    assert capsys.readouterr().err == f"REFUSED: {tmp_path}/none.json: No such file or directory\n"


MARCH = ("2026-03-01T00:00:00.000000Z", "2026-04-01T00:00:00.000000Z")


def an_export(folder: Path, period: tuple[str, str]) -> Head:
    """Leaves 1 to 3 of a log of 5, recorded in March, for the period that is said; signed. Gives the anchor's head."""
    lines = [
        check.canonical({"position": number + 1, "recorded_at": f"2026-03-{number + 1:02}T12:00:00.000000Z"})
        for number in range(5)
    ]
    leaves, signer = [leaf_hash(line) for line in lines], Ed25519PrivateKey.generate()
    root, public = check.root_by_range(0, leaves, 5, [], []), signer.public_key().public_bytes_raw()
    events = b"".join(line + b"\n" for line in lines[1:4])
    told = {"count": 3, "events_sha256": hashlib.sha256(events).hexdigest(), "exported_at": MARCH[1], "first_index": 1}
    told |= {"first_position": 2, "format": check.EXPORT, "from": period[0], "last_position": 4, "to": period[1]}
    told |= {"left": [leaves[0].hex()], "right": [leaves[4].hex()], "log_id": "1" * 32, "root": root.hex(), "size": 5}
    text = check.canonical(told | {"public_key": public.hex()}) + b"\n"
    folder.mkdir()
    (folder / "events.jsonl").write_bytes(events)
    (folder / "manifest.json").write_bytes(text)
    (folder / "manifest.sig").write_text(signer.sign(text).hex() + "\n")
    return Head("1" * 32, 5, root, hashlib.sha256(public).digest())


def test_an_export_says_the_period_of_its_ends(tmp_path: Path) -> None:
    assert check.check_export(tmp_path / "march", an_export(tmp_path / "march", MARCH))["count"] == 3


@pytest.mark.parametrize(
    "period",
    [
        ("2026-02-01T00:00:00.000000Z", "2026-03-01T00:00:00.000000Z"),
        ("2026-03-03T00:00:00.000000Z", MARCH[1]),
        (MARCH[0], "2026-03-04T12:00:00.000000Z"),
        ("2026-03-01", "9999-01-01"),
    ],
)
def test_an_export_that_says_another_period_is_refused_though_all_else_is_right(
    tmp_path: Path, period: tuple[str, str]
) -> None:
    """Events that harm nobody, for the month in which others happened."""
    head = an_export(tmp_path / "other", period)
    with pytest.raises(Refused, match="was recorded at"):
        check.check_export(tmp_path / "other", head)
