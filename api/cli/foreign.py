"""`payriver up --chain FILE`: the chain file and the keys, tried before anything starts, since a background process tells nobody."""

from __future__ import annotations

from pathlib import Path

from connectors.chain.node.rpc import Rpc
from connectors.chain.preflight import examine
from connectors.chain.sending.keystore import open_anchor_key, open_keys
from connectors.chain.settings import load_chain_settings
from infra.errors import Misconfigured
from infra.settings import Settings
from streams.audit_log.export_key import load_export_key


def examined(chain_file: Path) -> list[str]:
    """What a person should know; raises Misconfigured, Unreachable for what cannot work."""
    chain, settings = load_chain_settings(chain_file), Settings()
    folder = settings.keystore
    if folder is None:
        raise Misconfigured(
            "--chain needs the keys that send there: set PAYRIVER_KEYSTORE to the folder of settlement.json, delegate.json and "
            "relayer.json (encrypted keystore files), and PAYRIVER_KEYSTORE_PASSWORD; where the file names anchors, also anchor.json "
            "and exports.pem, and PAYRIVER_ANCHOR_PASSWORD"
        )
    keys = open_keys(folder, settings.keystore_password)
    if chain.anchors is not None:
        open_anchor_key(folder, settings.anchor_password, chain.anchors.sender)
        load_export_key(folder / "exports.pem", settings.anchor_password)
    rpc = Rpc(chain.rpc_urls, timeout_seconds=chain.request_timeout_seconds)
    try:
        return examine(chain, rpc, keys)
    finally:
        rpc.close()
