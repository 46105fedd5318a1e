"""What a caller is told when it cannot be done: every named error has its answer, and no answer tells more than it should."""

from __future__ import annotations

from collections.abc import Iterator

import orjson
import pytest

from api.door.problems import FALLBACKS, KINDS, Problem, of_error, shown
from infra import errors
from infra.errors import CommandIdReused, FinalityBroken, NotFound, PayriverError, TooLate, Unreachable


def tree(branch: type[PayriverError] = PayriverError) -> Iterator[type[PayriverError]]:
    for leaf in branch.__subclasses__():
        if leaf.__module__ == errors.__name__:
            yield leaf
            yield from tree(leaf)


def answer(problem: Problem) -> tuple[int, dict[str, object]]:
    response = problem.response()
    assert response.media_type == "application/problem+json"
    return response.status_code, orjson.loads(bytes(response.body))


@pytest.mark.parametrize("leaf", list(tree()), ids=lambda leaf: leaf.__name__)
def test_every_error_of_the_tree_has_an_answer_of_its_own_kind(leaf: type[PayriverError]) -> None:
    assert leaf.reason in KINDS or any(issubclass(leaf, branch) for branch, _ in FALLBACKS)


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (NotFound("there is no payment 7"), 404, "not_found"),
        (CommandIdReused("came before"), 409, "command_id_reused"),
        (Unreachable("no answer"), 503, "unreachable"),
        (TooLate("past"), 504, "deadline_passed"),
    ],
)
def test_a_named_error_is_told_by_its_word_with_what_to_do(error: PayriverError, status: int, reason: str) -> None:
    code, told = answer(of_error(error, "/v1/payments/7"))
    assert (code, told["status"], told["type"]) == (status, status, f"/problems/{reason}")
    assert told["detail"] == str(error)
    assert told["instance"] == "/v1/payments/7"
    assert told["title"] and told["remedy"]


def test_no_remedy_sends_its_reader_to_itself() -> None:
    """Where the detail alone knows what is wanted, the remedy says so."""
    assert [word for word, kind in KINDS.items() if "remedy" in kind.remedy] == []
    assert "detail" in KINDS["bad_input"].remedy


def test_what_must_not_go_on_without_a_person_tells_nothing_of_the_inside() -> None:
    code, told = answer(of_error(FinalityBroken("block 7 of postgresql://owner:secret@host"), "/"))
    assert code == 500
    assert "secret" not in str(told)


def test_an_error_that_hangs_on_a_branch_is_answered_as_the_branch() -> None:
    class CardLost(NotFound):
        reason = "card_lost"

    assert answer(of_error(CardLost("no card"), "/"))[1]["type"] == "/problems/not_found"


def test_what_may_pass_by_itself_says_when_to_come_again() -> None:
    assert of_error(Unreachable("no answer"), "/").response().headers["Retry-After"] == "1"


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("short", "short"),
        ("a\x00b\n", "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}"),
        ("x" * 200, "x" * 80 + "… (200 characters)"),
        (12.5, "12.5"),
    ],
)
def test_a_value_is_repeated_short_and_printable(value: object, told: str) -> None:
    assert shown(value) == told
