"""`payriver ui`: Kafka in the browser, on loopback, as the read-only user `ui`, with our Avro decoded. The rest is kaskade's."""

from __future__ import annotations

import json
import os
import tempfile
from configparser import RawConfigParser
from io import StringIO
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from api.cli.options import HomeOption
from api.roots.root import of_embedded_stack
from infra.settings import MachineSettings, Settings
from infra.stack.home import write_private
from infra.stack.ports import free_port
from infra.stack.side_environment import python
from infra.ui import environment
from schemas.topics import TOPICS
from streams.runtime.positions import client_config

SERVE = Path(environment.__file__).with_name("serve.py")
PASSED_ON = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR")


def ui(
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Where to listen on loopback; 0: any free port.")] = 0,
    home: HomeOption = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Fetch nothing; what is not in the cache is an error.")
    ] = False,
) -> None:
    """Show Kafka's topics, groups and decoded messages in the browser until Ctrl-C. It can change nothing."""
    settings = _settings(home)
    machine = MachineSettings()
    with Console(stderr=True).status("fetching the Kafka UI, once"):
        packages = environment.KAFKA_UI.ready(machine.cache, offline=offline or machine.offline)
    folder = Path(
        tempfile.mkdtemp(prefix="payriver-ui-")
    )  # its password is read by its owner alone, and it goes with the UI
    write_private(folder / "client.ini", client_ini(settings))
    pages = {"port": port or free_port(set()), "topics": {topic.name: topic.doc for topic in TOPICS}}
    write_private(folder / "pages.json", json.dumps(pages))
    told = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    program = python()
    # The folder is its HOME too, so that nobody's own settings of kaskade change what is shown.
    os.execve(program, [program, str(SERVE), str(folder)], {**told, "PYTHONPATH": str(packages), "HOME": str(folder)})


def client_ini(settings: Settings) -> str:
    """How kaskade logs in to the broker and finds our schemas."""
    client = {name: str(value) for name, value in client_config(settings).items() if name != "log_level"}
    parser = RawConfigParser()
    parser.read_dict({"kafka": client, "registry": {"url": settings.registry_url}})
    text = StringIO()
    parser.write(text)
    return text.getvalue()


def _settings(home: Path | None) -> Settings:
    told = Settings()
    if told.kafka_bootstrap:
        return told
    return of_embedded_stack("ui", home)
