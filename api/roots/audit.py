"""Whoever keeps the audit log: fills it, anchors it, signs what is exported of it."""

from __future__ import annotations

from pathlib import Path

from api.roots.chain import ChainRoot
from connectors.anchoring.anchorer import Anchorer
from connectors.chain.sending.keystore import open_anchor_key
from infra.errors import Misconfigured
from streams.audit_log.export_key import ExportKey, load_export_key
from streams.audit_log.filler import Filler


def filler_of(root: ChainRoot) -> Filler:
    """Whoever fills the log, as role audit."""
    return Filler(root.write, root.read)


def anchorer_of(root: ChainRoot) -> Anchorer:
    """Whoever anchors it, with its key. Raises Misconfigured where the chain file and the keystore do not fit together."""
    anchors = root.chain.anchors
    if anchors is None:
        raise Misconfigured(
            'the chain file names no anchors: add {"anchors": {"sender": ADDRESS}}, whose key is anchor.json'
        )
    folder = _keystore(root)
    signer = open_anchor_key(folder, root.settings.keystore_password, anchors.sender)
    return Anchorer(root.write, root.read, root.rpc, root.chain, signer, export_key_of(root).fingerprint)


def export_key_of(root: ChainRoot) -> ExportKey:
    """What signs exports."""
    return load_export_key(_keystore(root) / "exports.pem", root.settings.keystore_password)


def _keystore(root: ChainRoot) -> Path:
    if root.settings.keystore is None:
        raise Misconfigured("PAYRIVER_KEYSTORE names no folder; the audit log needs anchor.json and exports.pem")
    return root.settings.keystore
