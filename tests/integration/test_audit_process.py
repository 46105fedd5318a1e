"""`payriver audit run` as it is started: with its own logins and keys alone, and a node that does not answer it fills the log all the same."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from pydantic import SecretStr

from connectors.chain.sending.keystore import write_keystore
from infra.stack import access
from streams.audit_log.export_key import write_export_key
from tests.chain_fixtures import silent_chain
from tests.integration.audit_side import add, leaves
from tests.integration.conftest import Databases
from tests.waiting import until

PASSWORD = SecretStr("a password of the tests")


def test_the_process_fills_the_log_also_while_no_node_answers(databases: Databases, tmp_path: Path) -> None:
    sender = write_keystore(tmp_path / "anchor.json", "0x" + "0c" * 32, PASSWORD)
    write_export_key(tmp_path / "exports.pem", PASSWORD)
    (tmp_path / "chain.json").write_text(json.dumps(silent_chain(anchors={"sender": sender})))
    told = {
        "PAYRIVER_WRITE_URL": access.database_url(databases.stack.home, "write", "audit"),
        "PAYRIVER_READ_URL": access.database_url(databases.stack.home, "read", "audit"),
        "PAYRIVER_CHAIN_FILE": str(tmp_path / "chain.json"),
        "PAYRIVER_KEYSTORE": str(tmp_path),
        "PAYRIVER_KEYSTORE_PASSWORD": PASSWORD.get_secret_value(),
        "PAYRIVER_ANCHOR_SECONDS": "1",
    }
    before = len(leaves(databases))
    add(databases, 25)
    with (tmp_path / "log").open("wb") as log:
        command = [sys.executable, "-m", "api.cli.main", "audit", "run"]
        process = subprocess.Popen(command, env={**os.environ, **told}, stdout=log, stderr=log)
        try:
            until(lambda: len(leaves(databases)) >= before + 25, "the log is filled", seconds=60)
            until(
                lambda: b"audit_log_waits" in (tmp_path / "log").read_bytes(),
                "it says that no node answers",
                seconds=60,
            )
            add(databases, 5)
            until(lambda: len(leaves(databases)) >= before + 30, "the log goes on", seconds=60)
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert PASSWORD.get_secret_value().encode() not in (tmp_path / "log").read_bytes()
