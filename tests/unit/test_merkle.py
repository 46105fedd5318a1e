"""The audit log's arithmetic: RFC 6962's own values, a foreign library as judge, and no proof that survives a changed bit."""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymerkle import InmemoryTree

from infra.audit import check
from infra.audit.check import Refused, leaf_hash, node_hash
from streams.audit_log import merkle
from streams.audit_log.merkle import Frontier

# The inputs of Certificate Transparency's own tests of RFC 6962, and the roots of their first 1, 2, ... 8.
INPUTS = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
EIGHT = [leaf_hash(each) for each in INPUTS]
LARGEST = 300
MANY = [leaf_hash(str(number).encode()) for number in range(LARGEST)]


class Tree:
    """Whole subtrees straight from the leaves, by the definition."""

    def __init__(self, leaves: list[bytes]) -> None:
        self.leaves = leaves

    @cache  # noqa: B019
    def __call__(self, level: int, index: int) -> bytes:
        if level == 0:
            return self.leaves[index]
        return node_hash(self(level - 1, 2 * index), self(level - 1, 2 * index + 1))

    def root(self, size: int) -> bytes:
        """MTH(D[size]) as RFC 6962 defines it."""
        return mth(self.leaves[:size])


def mth(leaves: list[bytes]) -> bytes:
    """The definition of RFC 6962, 2.1, word by word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    half = max(1 << bit for bit in range(20) if 1 << bit < len(leaves))
    return node_hash(mth(leaves[:half]), mth(leaves[half:]))


TREE = Tree(MANY)
JUDGE = InmemoryTree(algorithm="sha256")
for each in range(LARGEST):
    JUDGE.append_entry(str(each).encode())
sizes = st.integers(1, LARGEST)


def range_root(*told: Any) -> bytes:
    """What follows from a part of a log, or nothing."""
    try:
        return check.root_by_range(*told)
    except Refused:
        return b""


def hexes(path: list[bytes]) -> list[str]:
    return [each.hex() for each in path]


def test_the_roots_are_those_of_certificate_transparency() -> None:
    frontier = Frontier()
    assert frontier.root.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    for size, (leaf, root) in enumerate(zip(EIGHT, ROOTS, strict=True), 1):
        frontier.take([leaf])
        assert frontier.root.hex() == merkle.root(size, Tree(EIGHT)).hex() == root


@pytest.mark.parametrize(
    ("index", "size", "path"),
    [
        (0, 1, []),
        (
            0,
            8,
            [
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
            ],
        ),
        (
            5,
            8,
            [
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ],
        ),
        (2, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
    ],
)
def test_the_paths_are_those_of_certificate_transparency(index: int, size: int, path: list[str]) -> None:
    assert hexes(merkle.inclusion(index, size, Tree(EIGHT))) == path


def test_the_consistency_proofs_are_those_of_certificate_transparency() -> None:
    assert hexes(merkle.consistency(6, 8, Tree(EIGHT))) == [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]
    assert hexes(merkle.consistency(2, 5, Tree(EIGHT))) == [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ]


@given(sizes, st.data())
def test_every_event_of_every_log_is_proved_as_a_foreign_library_proves_it(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    path = merkle.inclusion(index, size, TREE)
    assert len(path) <= size.bit_length()
    judged = JUDGE.prove_inclusion(index + 1, size)
    assert [MANY[index], *path] == [bytes(each) for each in judged.path]
    assert check.root_by_inclusion(MANY[index], index, size, path) == TREE.root(size) == JUDGE.get_root(size)


@given(sizes, sizes)
def test_every_log_goes_on_from_every_earlier_one(one: int, other: int) -> None:
    first, second = sorted((one, other))
    path = merkle.consistency(first, second, TREE)
    roots = TREE.root(first), TREE.root(second)
    assert roots == (
        JUDGE.get_root(first),
        JUDGE.get_root(second),
    )  # its proofs of consistency have a form of their own
    assert check.roots_by_consistency(first, second, roots[0], path) == roots
    assert len(path) <= second.bit_length() + 1


@given(sizes, st.data())
def test_every_part_of_every_log_is_proved_by_what_stands_beside_it(size: int, data: st.DataObject) -> None:
    first, last = sorted((data.draw(st.integers(0, size)), data.draw(st.integers(0, size))))
    left = [TREE(*each) for each in merkle.subtrees(0, first)]
    right = [TREE(*each) for each in merkle.subtrees(last, size)]
    assert check.root_by_range(first, MANY[first:last], size, left, right) == TREE.root(size)
    if first < last:
        assert range_root(first, MANY[first : last - 1], size, left, right) != TREE.root(size)


@given(sizes, sizes)
def test_a_log_that_stops_anywhere_goes_on_as_if_it_had_not(one: int, other: int) -> None:
    first, second = sorted((one, other))
    frontier = Frontier.at(first, TREE)
    assert frontier.root == TREE.root(first)
    told = [node for leaf in MANY[first:second] for node in frontier.push(leaf)]
    assert frontier.root == TREE.root(second)
    assert all(TREE(level, index) == digest for level, index, digest in told)


@given(sizes, st.data())
def test_a_changed_bit_of_path_or_leaf_leads_to_another_root(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    values = [MANY[index], *merkle.inclusion(index, size, TREE)]
    place, bit = data.draw(st.integers(0, len(values) - 1)), data.draw(st.integers(0, 255))
    values[place] = (int.from_bytes(values[place], "big") ^ 1 << bit).to_bytes(32, "big")
    assert check.root_by_inclusion(values[0], index, size, values[1:]) != TREE.root(size)


@given(sizes, st.data())
def test_a_path_of_another_length_is_refused(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    path = merkle.inclusion(index, size, TREE)
    for wrong in ([*path, MANY[0]], path[:-1]) if path else ([MANY[0]],):
        with pytest.raises(Refused):
            check.root_by_inclusion(MANY[index], index, size, wrong)
