"""The chain file: what it may say, and the plain words for what it may not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from connectors.chain.settings import ByDepth, ByTag, ChainSettings, load_chain_settings, schema_text
from infra.errors import Misconfigured

GNOSIS: dict[str, Any] = {
    "rpc_urls": ["https://user:secret@rpc.example.org/key/abc", "http://127.0.0.1:8545"],
    "chain_id": 100,
    "start_block": 31_000_000,
    "tokens": [
        {
            "address": "0x420CA0f9B9b604cE0fd9C18EF134C705e5Fa3430",
            "twin": "0xcb444e90d8198415266c6a2724b7900fb12fc56e",
            "symbol": "EURe",
            "currency": "EUR",
            "decimals": 18,
        },
        {"address": "0x2a22f9c3b484c3629090FeED35F17Ff8F88f76F0", "symbol": "USDC.e", "currency": "USD", "decimals": 6},
    ],
    "settlement_address": "0x4822521E6135CD2599199c83Ea35179229A172EE",
    "spender_module": "0xcFF260bfbc199dC82717494299b1AcADe25F549b",
    "finality": {"tag": "finalized"},
}


def written(folder: Path, **other: Any) -> Path:
    path = folder / "chain.json"
    path.write_text(json.dumps(GNOSIS | other))
    return path


def test_a_chain_file_is_read_and_its_addresses_are_checksummed(tmp_path: Path) -> None:
    chain = load_chain_settings(written(tmp_path))
    euro, dollar = chain.tokens
    assert euro.twin == euro.asset == "0xcB444e90D8198415266c6a2724b7900fb12FC56E"
    assert dollar.asset == dollar.address
    assert chain.token_at(euro.address.lower()) == euro
    assert chain.token_at(euro.twin) is None, "the front's logs are not counted"
    assert chain.finality == ByTag(tag="finalized")


def test_depth_is_the_other_finality(tmp_path: Path) -> None:
    assert load_chain_settings(written(tmp_path, finality={"depth": 20})).finality == ByDepth(depth=20)


def test_keys_in_an_rpc_url_are_not_shown(tmp_path: Path) -> None:
    chain = load_chain_settings(written(tmp_path))
    assert "secret" not in repr(chain) and "/key/abc" not in repr(chain)
    assert chain.nodes == ("rpc.example.org", "127.0.0.1:8545")


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no node": ({"rpc_urls": []}, "rpc_urls"),
    "a node that is none": ({"rpc_urls": ["ftp://x"]}, "http:// or https://"),
    "a short address": ({"settlement_address": "0x12"}, "settlement_address.*40 hex digits"),
    "a digit wrong": ({"spender_module": "0xcFF260bfbc199dC82717494299b1AcADe25F549B"}, "spender_module.*checksum"),
    "nobody's address": ({"settlement_address": "0x" + "00" * 20}, "zero address"),
    "two finalities": ({"finality": {"tag": "finalized", "depth": 3}}, "finality"),
    "no such tag": ({"finality": {"tag": "latest"}}, "finality"),
    "a depth of nothing": ({"finality": {"depth": 0}}, "finality"),
    "another generation": ({"spender_generation": "newer"}, "spender_generation.*module-tx-salt"),
    "an unknown word": ({"settlment_address": "0x12"}, "settlment_address"),
    "no tokens": ({"tokens": []}, "tokens"),
    "a token twice": ({"tokens": [GNOSIS["tokens"][1]] * 2}, "named twice"),
    "a twin of itself": (
        {"tokens": [GNOSIS["tokens"][1] | {"twin": GNOSIS["tokens"][1]["address"]}]},
        "twin is the token itself",
    ),
    "no decimals": (
        {"tokens": [{k: v for k, v in GNOSIS["tokens"][1].items() if k != "decimals"}]},
        r"tokens\.0\.decimals",
    ),
    "a token without cents": (
        {"tokens": [GNOSIS["tokens"][1] | {"decimals": 1}]},
        r"tokens\.0.*a token of USD has at least 2 decimals, not 1",
    ),
    "a currency that is not ours": (
        {"tokens": [GNOSIS["tokens"][1] | {"currency": "JPY"}]},
        r"tokens\.0.*currency JPY is not one of EUR, GBP, USD",
    ),
}


@pytest.mark.parametrize(("other", "words"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_used_is_said_in_words(tmp_path: Path, other: dict[str, Any], words: str) -> None:
    with pytest.raises(Misconfigured, match=f"(?s)chain.json.*{words}"):
        load_chain_settings(written(tmp_path, **other))


def test_a_file_that_is_not_there_or_no_json_is_named(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"none\.json cannot be read"):
        load_chain_settings(tmp_path / "none.json")
    (tmp_path / "half.json").write_text('{"chain_id": ')
    with pytest.raises(Misconfigured, match=r"half\.json is no JSON"):
        load_chain_settings(tmp_path / "half.json")


def test_the_printed_schema_takes_what_we_take() -> None:
    schema = json.loads(schema_text())
    jsonschema.validate(GNOSIS, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(GNOSIS | {"chain_id": 0}, schema)
    assert all("description" in field for field in schema["properties"].values())


def test_every_field_is_told_of() -> None:
    assert all(field.description for field in ChainSettings.model_fields.values())
