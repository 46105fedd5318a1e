#!/usr/bin/env python3
"""Checks what payriver gives an auditor, with Python's standard library alone: copy this one file anywhere and run it.

    check.py PROOF       --head 0x...         a proof that one event is in the log
    check.py CONSISTENCY --head 0x... 0x...   a proof that a later log goes on from an earlier one
    check.py FOLDER      --head 0x...         an export of a period
    check.py CLOSING     --head 0x...         the record of a log that was closed, against the log that began then

A head is the call data of an anchor's transaction, as any block explorer shows it. Instead: --anchor TX --rpc URL --sender ADDRESS,
and the node is asked for it. Exit status 0: all is as claimed. README.md beside this file says each byte of it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
import urllib.request
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

PROOF, CONSISTENCY, EXPORT = "payriver-audit-proof/1", "payriver-audit-consistency/1", "payriver-audit-export/1"
CLOSING = "payriver-audit-closing/1"
PARTS = ("manifest.json", "manifest.sig", "events.jsonl")
MAGIC = b"payriver\x01"
STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)
HEAD_BYTES = len(MAGIC) + 16 + 8 + 32 + 32


class Refused(Exception):
    """It is not what it claims to be."""


# --- RFC 6962: hashes, and what follows from them ---------------------------------------------------------------------


def leaf_hash(leaf: bytes) -> bytes:
    """The hash of a leaf (RFC 6962, 2.1)."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of two subtrees (RFC 6962, 2.1)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_by_inclusion(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """The root of `size` leaves that follows if `leaf` (a hash) is the one at `index` (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        raise Refused(f"index {index} is not below the size {size}")
    at, last, root = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            raise Refused("the path is too long")
        if at & 1 or at == last:
            root = node_hash(sibling, root)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            root = node_hash(root, sibling)
        at, last = at >> 1, last >> 1
    if last:
        raise Refused("the path is too short")
    return root


def roots_by_consistency(first: int, second: int, first_root: bytes, path: list[bytes]) -> tuple[bytes, bytes]:
    """The two roots that follow from a consistency proof (RFC 9162, 2.1.4.2); both must be those that were anchored."""
    if not 0 < first <= second:
        raise Refused(f"a log of {first} cannot come before one of {second}")
    if first == second:
        if path:
            raise Refused("the path is too long")
        return first_root, first_root
    hashes = iter([first_root, *path] if first & (first - 1) == 0 else path)
    at, last = first - 1, second - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    try:
        old = new = next(hashes)
        for sibling in hashes:
            if last == 0:
                raise Refused("the path is too long")
            if at & 1 or at == last:
                old, new = node_hash(sibling, old), node_hash(sibling, new)
                while not at & 1 and at:
                    at, last = at >> 1, last >> 1
            else:
                new = node_hash(new, sibling)
            at, last = at >> 1, last >> 1
    except StopIteration:
        raise Refused("the path is too short") from None
    if last:
        raise Refused("the path is too short")
    return old, new


def root_by_range(first: int, leaves: Iterable[bytes], size: int, left: list[bytes], right: list[bytes]) -> bytes:
    """The root of `size` leaves that follows if `leaves` (hashes) stand from `first` on, between the whole subtrees on both sides."""
    stack: list[tuple[int, bytes]] = []  # (leaves under it, hash), from the left, each smaller than the one before
    for width, digest in _side_by_side(first, leaves, size, left, right):
        joined, root = width, digest
        while stack and stack[-1][0] == joined:
            joined, root = 2 * joined, node_hash(stack.pop()[1], root)
        stack.append((joined, root))
    found = sum(width for width, _ in stack)
    if not stack or found != size:
        raise Refused(f"{found} leaves do not fit into a log of {size}")
    return fold([digest for _, digest in stack])


def _side_by_side(
    first: int, leaves: Iterable[bytes], size: int, left: list[bytes], right: list[bytes]
) -> Iterator[tuple[int, bytes]]:
    """(leaves under it, hash) of all pieces of the log, from the left."""
    yield from _subtrees(0, first, left)
    place = first
    for leaf in leaves:
        yield 1, leaf
        place += 1
    yield from _subtrees(place, size, right)


def _subtrees(start: int, end: int, hashes: list[bytes]) -> Iterator[tuple[int, bytes]]:
    needed = list(widths(start, end))
    if len(needed) != len(hashes):
        raise Refused(f"{len(hashes)} hashes stand for leaves {start} to {end}, where {len(needed)} are needed")
    yield from zip(needed, hashes, strict=True)


def widths(start: int, end: int) -> Iterator[int]:
    """The whole subtrees between two places, from the left: each as large as its place and the rest allow."""
    while start < end:
        width = 1 << (end - start).bit_length() - 1
        width = min(width, start & -start) if start else width
        yield width
        start += width


def fold(hashes: list[bytes]) -> bytes:
    """One hash of whole subtrees that stand beside each other, each smaller than the one before."""
    root = hashes[-1]
    for left in reversed(hashes[:-1]):
        root = node_hash(left, root)
    return root


# --- what was anchored ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Head:
    """A log at one size, as an anchor states it. `key`: SHA-256 of the public key that signs exports; zeros if none does."""

    log_id: str
    size: int
    root: bytes
    key: bytes

    @classmethod
    def parse(cls, data: bytes) -> Head:
        """From an anchor's call data: "payriver", 1, log id (16), size (8, big-endian), root (32), key (32)."""
        if len(data) != HEAD_BYTES or not data.startswith(MAGIC):
            raise Refused(
                f"{len(data)} bytes that begin with {data[:9].hex()} are no head of a payriver log, version 1"
            )
        at = len(MAGIC)
        size = int.from_bytes(data[at + 16 : at + 24], "big")
        return cls(data[at : at + 16].hex(), size, data[at + 24 : at + 56], data[at + 56 :])

    def encode(self) -> bytes:
        """The call data of its anchor."""
        return MAGIC + bytes.fromhex(self.log_id) + self.size.to_bytes(8, "big") + self.root + self.key


def ask(url: str, method: str, *params: Any) -> Any:
    """A JSON-RPC question to an EVM node."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    request = urllib.request.Request(url, body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as response:
        told = parsed(response.read())
    if told.get("error"):
        raise Refused(f"the node says to {method}: {told['error']}")
    return told.get("result")


def anchored(url: str, transaction: str, sender: str) -> Head:
    """The head in a transaction that `sender` sent and that a final block carries."""
    found = ask(url, "eth_getTransactionByHash", transaction)
    receipt = ask(url, "eth_getTransactionReceipt", transaction)
    final = ask(url, "eth_getBlockByNumber", "finalized", False)
    if not found or not receipt or receipt["status"] != "0x1":
        raise Refused(f"the node knows no successful transaction {transaction}")
    if found["hash"].lower() != transaction.lower():
        raise Refused(f"the node told of another transaction, {found['hash']}")
    if found["from"].lower() != sender.lower():
        raise Refused(f"{transaction} was sent by {found['from']}, and not by {sender}")
    if not final or int(receipt["blockNumber"], 16) > int(final["number"], 16):
        raise Refused(f"{transaction} is in block {int(receipt['blockNumber'], 16)}, which is not final yet")
    return Head.parse(bytes.fromhex(found["input"][2:]))


# --- signatures: Ed25519 (RFC 8032, 5.1.7), for Python's library has none -----------------------------------------------

P, ORDER = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
Point = tuple[int, int]


def decoded(text: bytes) -> Point:
    """A point from its 32 bytes: y, and the lowest bit of x above it."""
    told = int.from_bytes(text, "little")
    y, odd = told % 2**255, told >> 255
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P
    if len(text) != 32 or y >= P or x * x % P != square or (x == 0 and odd):
        raise Refused(f"{text.hex()} is no point of Ed25519")
    return (x if x % 2 == odd else P - x, y)


def added(a: Point, b: Point) -> Point:
    """The sum of two points: the one formula that holds for all of them."""
    product = D * a[0] * b[0] * a[1] * b[1]
    x = (a[0] * b[1] + b[0] * a[1]) * pow(1 + product, -1, P)
    y = (a[1] * b[1] + a[0] * b[0]) * pow(1 - product, -1, P)
    return x % P, y % P


def times(count: int, point: Point) -> Point:
    """A point added to itself so often."""
    total = (0, 1)
    while count:
        if count & 1:
            total = added(total, point)
        point, count = added(point, point), count >> 1
    return total


def check_signature(public: bytes, signature: bytes, text: bytes) -> None:
    """Raises Refused unless the key signed the text."""
    if len(signature) != 64 or (s := int.from_bytes(signature[32:], "little")) >= ORDER:
        raise Refused("the signature is none of Ed25519")
    k = int.from_bytes(hashlib.sha512(signature[:32] + public + text).digest(), "little") % ORDER
    base = decoded((4 * pow(5, -1, P) % P).to_bytes(32, "little"))
    if times(s, base) != added(decoded(signature[:32]), times(k, decoded(public))):
        raise Refused("the signature is not of this key over this manifest")


# --- files ------------------------------------------------------------------------------------------------------------


def canonical(value: Any) -> bytes:
    """RFC 8785, for what these files hold: objects with ASCII names, texts, whole numbers."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def read(text: bytes, format_: str, **shape: type) -> dict[str, Any]:
    """A file of exactly these fields, written in the one way there is: whatever byte of it is changed, it is refused."""
    bare = STRINGS.sub(b"", text)
    if bare.count(b"{") > 1 or bare.count(b"[") > 2:
        raise Refused("it is no JSON of ours: one object, and in it texts, numbers and lists of texts")
    try:
        told = json.loads(text)
        written = canonical(told) + b"\n"
    except (ValueError, RecursionError) as error:
        raise Refused(f"it is no JSON: {error}") from None
    if not isinstance(told, dict) or told.get("format") != format_:
        raise Refused(f"it is no {format_}")
    if {name: type(value) for name, value in told.items()} != {"format": str, **shape}:
        raise Refused(f"the fields of {format_} are {', '.join(sorted(['format', *shape]))}")
    if written != text:
        raise Refused("it is not in canonical form (RFC 8785, and a line feed)")
    return told


def parsed(text: bytes) -> Any:
    """JSON that may be anybody's: what is nested deeper than anything of ours is not read. Raises ValueError."""
    bare = STRINGS.sub(b"", text)
    if bare.count(b"{") + bare.count(b"[") > 1000:
        raise ValueError("more lists and objects than anything that is checked here has")
    return json.loads(text)


def format_of(text: bytes) -> str:
    """What a file says it is, in its own field and nowhere else: an event's words may name any of them."""
    try:
        told = parsed(text)
    except ValueError:
        return ""
    return str(told.get("format")) if isinstance(told, dict) else ""


def from_hex(text: Any, length: int) -> bytes:
    """So many bytes, in lower-case hex and in nothing else."""
    if not isinstance(text, str) or not re.fullmatch(f"[0-9a-f]{{{2 * length}}}", text):
        raise Refused(f"{text!r} is not {length} bytes in lower-case hex")
    return bytes.fromhex(text)


def hashes(told: list[Any]) -> list[bytes]:
    """A list of SHA-256 values."""
    return [from_hex(each, 32) for each in told]


def must_be(what: str, told: Any, head: Any) -> None:
    """What a file says against what was anchored."""
    if told != head:
        raise Refused(f"the file says {what} {told}, the anchor says {head}")


def check_proof(text: bytes, head: Head) -> dict[str, Any]:
    """A proof of one event; gives the event. Raises Refused."""
    told = read(text, PROOF, index=int, leaf=str, log_id=str, path=list, root=str, size=int)
    must_be("log", told["log_id"], head.log_id)
    must_be("size", told["size"], head.size)
    must_be("root", told["root"], head.root.hex())
    leaf = told["leaf"].encode()
    if root_by_inclusion(leaf_hash(leaf), told["index"], head.size, hashes(told["path"])) != head.root:
        raise Refused("the path does not lead to the root: this event, as it stands here, is not in the log")
    event: dict[str, Any] = json.loads(leaf)
    return event


def check_consistency(text: bytes, first: Head, second: Head) -> dict[str, Any]:
    """A proof that the second log has the first one at its beginning. Raises Refused."""
    shape = {"first_root": str, "first_size": int, "second_root": str, "second_size": int}
    told = read(text, CONSISTENCY, log_id=str, path=list, **shape)
    for name, head in (("first", first), ("second", second)):
        must_be("log", told["log_id"], head.log_id)
        must_be(f"{name}_size", told[f"{name}_size"], head.size)
        must_be(f"{name}_root", told[f"{name}_root"], head.root.hex())
    if roots_by_consistency(first.size, second.size, first.root, hashes(told["path"])) != (first.root, second.root):
        raise Refused("the path does not lead to both roots: the later log does not go on from the earlier one")
    return told


def check_export(folder: Path, head: Head) -> dict[str, Any]:
    """An export: the manifest is signed by the anchored key, and its events are what the log has between two places. Raises Refused."""
    text = (folder / "manifest.json").read_bytes()
    numbers = ("count", "first_index", "first_position", "last_position", "size")
    texts = ("events_sha256", "exported_at", "from", "log_id", "public_key", "root", "to")
    told = read(text, EXPORT, left=list, right=list, **dict.fromkeys(numbers, int), **dict.fromkeys(texts, str))
    must_be("log", told["log_id"], head.log_id)
    must_be("size", told["size"], head.size)
    must_be("root", told["root"], head.root.hex())
    public = from_hex(told["public_key"], 32)
    must_be("key", hashlib.sha256(public).hexdigest(), head.key.hex())
    signature, line_feed, rest = (folder / "manifest.sig").read_bytes().decode("latin-1").partition("\n")
    if not line_feed or rest:
        raise Refused("manifest.sig is not one line")
    check_signature(public, from_hex(signature, 64), text)
    lines = Lines(folder / "events.jsonl")
    beside = hashes(told["left"]), hashes(told["right"])
    root = root_by_range(told["first_index"], lines, head.size, *beside)
    if root != head.root:
        raise Refused("the events do not lead to the root: they are not what the log has at this place")
    ends = [json.loads(line) for line in (lines.first, lines.last)]  # leaves of the log, so well made
    for each in ends:
        if (
            not all(MOMENT.fullmatch(told[name]) for name in ("from", "to"))
            or not told["from"] <= each["recorded_at"] < told["to"]
        ):
            at = f"position {each['position']} was recorded at {each['recorded_at']}"
            raise Refused(f"the event at {at}, the manifest says from {told['from']} to {told['to']}")
    positions = [each["position"] for each in ends]
    found = (lines.count, *positions, lines.sha256.hexdigest())
    wanted = (told["count"], told["first_position"], told["last_position"], told["events_sha256"])
    if found != wanted:
        raise Refused(f"events.jsonl has {found} (events, first, last, hash), the manifest says {wanted}")
    return told


def read_closing(text: bytes) -> dict[str, Any]:
    """The record of a log that was closed. Raises Refused."""
    texts = ("because", "broken", "closed_at", "closed_by", "log_id", "root", "witness_root")
    return read(text, CLOSING, size=int, witness_size=int, **dict.fromkeys(texts, str))


def next_log(record: bytes) -> str:
    """The id of the log that began when another was closed: the first 16 bytes of the record's SHA-256."""
    return hashlib.sha256(record).hexdigest()[:32]


def check_closing(text: bytes, head: Head) -> dict[str, Any]:
    """The record of a closing: the log at `head` began with it, and with no other. Raises Refused."""
    told = read_closing(text)
    if next_log(text) != head.log_id:
        raise Refused(f"the record begins log {next_log(text)}, the anchor is of log {head.log_id}")
    return told


class Lines:
    """The leaves of events.jsonl, one a line, hashed as they are read."""

    def __init__(self, path: Path) -> None:
        self.path, self.sha256 = path, hashlib.sha256()
        self.count, self.first, self.last = 0, b"", b""

    def __iter__(self) -> Iterator[bytes]:
        with self.path.open("rb") as file:
            for line in file:
                self.sha256.update(line)
                self.first, self.last = self.first or line, line
                self.count += 1
                yield leaf_hash(line.removesuffix(b"\n"))
        if not self.last.endswith(b"\n"):
            raise Refused("events.jsonl is empty, or ends in the middle of a line")


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path)
    parser.add_argument("--head", nargs="+", action="extend", default=[], help="call data of the anchor, 0x...")
    parser.add_argument(
        "--anchor", nargs="+", action="extend", default=[], help="hash of the anchor's transaction, 0x..."
    )
    parser.add_argument("--rpc", help="URL of an EVM node that you trust")
    parser.add_argument("--sender", help="address whose anchors count")
    asked = parser.parse_args(arguments)
    try:
        heads = [Head.parse(bytes.fromhex(each.removeprefix("0x"))) for each in asked.head]
        if asked.anchor and not (asked.rpc and asked.sender):
            raise Refused("--anchor needs --rpc and --sender")
        heads += [anchored(asked.rpc, each, asked.sender) for each in asked.anchor]
        sys.stdout.write(f"in order: {check(asked.path, heads)}\n")
    except (Refused, OSError, ValueError, LookupError, TypeError, AttributeError, HTTPException) as error:
        sys.stderr.write(f"REFUSED: {_said(error)}\n")
        return 1
    return 0


def _said(error: Exception) -> str:
    if isinstance(error, Refused):
        return str(error)
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return f"{type(error).__name__}: {error}"


def check(path: Path, heads: list[Head]) -> str:
    """What was found in order, in words. Raises Refused."""
    text = b"" if path.is_dir() else path.read_bytes()
    kind = format_of(text)
    if not path.is_dir() and kind not in (PROOF, CONSISTENCY, CLOSING):
        raise Refused(f"{path.name} {_is_none(path, kind)}")
    wanted = 2 if kind == CONSISTENCY else 1
    if len(heads) != wanted:
        raise Refused(
            f"{wanted} head{'s are' if wanted > 1 else ' is'} needed to check this, {len(heads)} given:"
            " --head 0x..., or --anchor TX --rpc URL --sender ADDRESS"
        )
    if wanted == 2:
        told = check_consistency(text, *heads)
        return f"the log of {told['second_size']} events begins with the log of {told['first_size']} (log {told['log_id']})"
    if path.is_dir():
        told = check_export(path, heads[0])
        places = f"positions {told['first_position']} to {told['last_position']}"
        return f"{told['count']} events ({places}, recorded from {told['from']} to {told['to']}) are what the log has there (log {told['log_id']})"
    if kind == CLOSING:
        told = check_closing(text, heads[0])
        closed = f"log {told['log_id']} was closed at {told['closed_at']} by {told['closed_by']}: {told['because']}"
        return f"{closed}; log {heads[0].log_id} began then"
    event = check_proof(text, heads[0])
    return f"event {event['event_id']} ({event['type']}, position {event['position']}) is in the log of {heads[0].size} (log {heads[0].log_id})"


def _is_none(path: Path, kind: str) -> str:
    """What to name instead of a file that nothing is checked by."""
    if kind == EXPORT or path.name in PARTS:
        return f"is a part of an export, and that is checked as a whole: name its folder, {path.parent}"
    return f"is none of {PROOF}, {CONSISTENCY} and {CLOSING}, and no folder of an export"


if __name__ == "__main__":
    sys.exit(main())
