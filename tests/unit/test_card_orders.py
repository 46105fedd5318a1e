"""What the network tells later names its authorization as the network had named it, and a category of merchants is spelt one way."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ValidationError

from api.requests.card_orders import Advice, EarlyReversal, MerchantBlock
from api.requests.orders import Merchant, example


@pytest.mark.parametrize("kind", [Advice, EarlyReversal], ids=lambda kind: kind.__name__)
def test_a_later_message_names_its_authorization_by_any_key_that_was_taken(kind: type[BaseModel]) -> None:
    longest = "visa-2026-03-01-" + "7" * 239
    told = kind.model_validate({**example(kind), "authorization": longest})
    assert told.model_dump()["authorization"] == longest
    for other in (longest + "7", "", "tab\there", "caf\u00e9"):
        with pytest.raises(ValidationError):
            kind.model_validate({**example(kind), "authorization": other})


@pytest.mark.parametrize("digits", ["\u0667\u0669\u0669\u0665", "\uff17\uff19\uff19\uff15", "799", "79950"])
def test_a_blocked_category_is_not_spelt_around_with_the_digits_of_another_script(digits: str) -> None:
    with pytest.raises(ValidationError):
        Merchant(mcc=digits)
    with pytest.raises(ValidationError):
        MerchantBlock(mcc=digits, reason="holder")
