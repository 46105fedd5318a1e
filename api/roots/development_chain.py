"""The embedded stack's chain: contracts deployed once, the chain file and the keystore written, before our processes start."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import SecretStr

from connectors.chain.sending.keystore import write_keystore
from infra.devchain.chain import DevChain
from infra.devchain.values import Deployment
from infra.files import put
from infra.stack import access
from infra.stack.home import Home
from infra.stack.supervisor import Stack
from streams.audit_log.export_key import write_export_key

DEPLOYMENT = "deployment.json"
BLOCK_SECONDS = 5
WORK = 2**12
"""For scrypt: these keys are the development chain's, and their password was drawn by lot; nobody guesses it, and each start opens them."""


def prepare(stack: Stack) -> None:
    """Deploy on a chain that is empty; on a kept one, let its clock go on. Does nothing for a node that is not ours."""
    if stack.node() is None:
        return
    path = stack.home.path(DEPLOYMENT)
    if path.exists():
        devchain(stack).resume_clock()
    else:
        deployment = devchain(stack).deploy()
        write_keys(stack.home.path("keystore"), password_of(stack), deployment)
        write_anchor_keys(stack.home.path("keystore"), anchor_password_of(stack), deployment)
        deployment.save(path)
    write_chain_file(stack.chain_file, devchain(stack).socket_url, Deployment.load(path))


def prepare_lively(stack: Stack) -> None:
    """The same, and a block at Gnosis Chain's pace though nobody pays: on a chain that stands nothing is approved (`chain_stale`)."""
    prepare(stack)
    if stack.node() is not None:
        devchain(stack).interval_mining(BLOCK_SECONDS)


def devchain(stack: Stack) -> DevChain:
    """The world outside, as the demo and the tests play it."""
    node = stack.node()
    assert node is not None, "this stack runs against a node that is not ours"
    return devchain_of(stack.home, node.node_modules)


def devchain_of(home: Home, node_modules: Path) -> DevChain:
    """The same, of a home whose stack another process may run."""
    path = home.path(DEPLOYMENT)
    return DevChain(access.url(home, "node"), node_modules, Deployment.load(path) if path.exists() else None)


def password_of(stack: Stack) -> SecretStr:
    """What the stack's keystore files are encrypted with."""
    return SecretStr(stack.settings_for("owner")["PAYRIVER_KEYSTORE_PASSWORD"])


def anchor_password_of(stack: Stack) -> SecretStr:
    """What the keys of the audit log are encrypted with: who anchors opens no other key, and nobody else opens these."""
    return SecretStr(stack.settings_for("owner")["PAYRIVER_ANCHOR_PASSWORD"])


def write_keys(folder: Path, password: SecretStr, deployment: Deployment) -> None:
    """The three keys that move money, each an encrypted keystore file."""
    folder.mkdir(mode=0o700, exist_ok=True)
    for name in ("settlement", "delegate", "relayer"):
        path = folder / f"{name}.json"
        path.unlink(missing_ok=True)
        write_keystore(path, getattr(deployment, f"{name}_key"), password, WORK)


def write_anchor_keys(folder: Path, password: SecretStr, deployment: Deployment) -> None:
    """The key that states the audit log's root on chain, and the one that signs exports."""
    path = folder / "anchor.json"
    path.unlink(missing_ok=True)
    write_keystore(path, deployment.anchor_key, password, WORK)
    write_export_key(folder / "exports.pem", password)


def write_chain_file(path: Path, url: str, deployment: Deployment) -> None:
    """What our processes are told of the chain."""
    chain = deployment.chain_file([url], finality={"tag": "finalized"})
    put(path, f"{json.dumps(chain, indent=2)}\n".encode())
