"""`payriver up`, `down`, `status`, `doctor`, `provision`, `migrate`: the embedded stack from the command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import psutil
import typer
from rich.console import Console
from rich.table import Table

from api.cli import addresses
from api.cli.options import HomeOption, JsonOption
from api.cli.store_state import store_state, warnings
from api.roots.provisioning import PARTS, Doors, migrate_both
from infra.errors import BadInput, Conflict, Misconfigured, Unreachable
from infra.settings import MachineSettings, ProvisionSettings
from infra.stack.cache import data_folder
from infra.stack.doctor import examine
from infra.stack.home import Home, end_left_overs, read_state, take_lock
from infra.stack.process import Identity
from infra.stack.report import Report, is_running, look

out, err = Console(width=None if sys.stdout.isatty() else 150), Console(stderr=True)
COLOURS = {
    "ready": "green",
    "running": "green",
    "ok": "green",
    "failed": "red",
    "fail": "red",
    "gone": "red",
    "killed": "red",
}

ChainOption = Annotated[
    Path | None, typer.Option("--chain", help="JSON that names another EVM node instead of the embedded one.")
]
OfflineOption = Annotated[bool, typer.Option("--offline", help="Fetch nothing; what is not in the cache is an error.")]
RestoreOption = Annotated[
    bool, typer.Option("--restore", help="An empty schema registry was lost: give it the ids that W remembers.")
]
ThrowawayOption = Annotated[bool, typer.Option("--throwaway", help="Do not wait for the disk (fsync off): tests only.")]


def up(
    chain: ChainOption = None,
    home: HomeOption = None,
    offline: OfflineOption = False,
    throwaway: ThrowawayOption = False,
    restore: RestoreOption = False,
) -> None:
    """Start everything in the background; return when it is ready, and say where to look. On kept data it goes on where it was.

    Beside another that starts it, wait for that one; beside one that ends it, say so.
    """
    folder, supervisor = folder_of(home), None
    if not is_running(folder):
        if chain is not None:
            from api.cli import foreign

            for hint in foreign.examined(chain):
                err.print(f"note: {hint}", style="yellow", highlight=False)
        folder.mkdir(parents=True, exist_ok=True)
        options = {"offline": offline, "throwaway": throwaway, "restore": restore}
        supervisor = _detach(folder, chain, *(f"--{name}" for name, chosen in options.items() if chosen))
    try:
        _await_ready(folder, supervisor)
    except KeyboardInterrupt:
        if supervisor is not None:
            supervisor.terminate()
            supervisor.wait()
        raise
    _print(look(folder))
    _print_addresses(folder)


def down(home: HomeOption = None) -> None:
    """End everything in order. The data stays: `payriver up` goes on with it."""
    folder = folder_of(home)
    if not is_running(folder):
        if folder.exists() and (lock := take_lock(folder)):
            end_left_overs(folder)
            lock.close()
        err.print("nothing runs")
        return
    told = read_state(folder).get("supervisor")
    supervisor = Identity(told["pid"], told["created"]).process() if told else None
    if supervisor is None:
        raise Misconfigured(f"a process that is just starting holds {folder}; try again")
    with err.status("ending the river"), suppress(psutil.NoSuchProcess):
        supervisor.send_signal(signal.SIGTERM)
        supervisor.wait()
    err.print("ended")


def status(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """What runs: state, address, version, memory of each process; and which append all readers wait for, if one lasts."""
    folder = folder_of(home)
    report = look(folder)
    store = store_state(folder) if report.state == "ready" else {}
    if as_json:
        out.print_json(json.dumps({**report.as_json(), "store": store}))
    else:
        _print(report)
        if report.state == "stopped":
            err.print("`payriver up` starts it; --home or PAYRIVER_HOME names another river's folder")
        for each in warnings(store):
            err.print(each, style="yellow")
    if report.state != "ready":
        raise typer.Exit(3)


def doctor(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Look whether this machine has what the stack needs; say what is missing and how to get it."""
    machine = MachineSettings()
    findings = examine(machine.cache, home or machine.home)
    if as_json:
        out.print_json(json.dumps([vars(finding) for finding in findings]))
    else:
        table = Table(box=None, show_header=False)
        for finding in findings:
            table.add_row(_coloured(finding.state), finding.what, finding.says)
        out.print(table)
    if any(finding.state == "fail" for finding in findings):
        raise typer.Exit(1)


def provision(
    home: HomeOption = None,
    part: Annotated[str, typer.Option(help=f"Only one part: {' or '.join(PARTS)}.")] = "",
    restore: RestoreOption = False,
) -> None:
    """Tables, topics, users, permissions, schemas, checkpoints, slot, connector: each only if it is missing."""
    if part and part not in PARTS:
        raise BadInput(f"no part of provisioning is called {part!r}; there are {', '.join(PARTS)}")
    doors = replace(doors_of(home), restore=restore)
    for name in [part] if part else PARTS:
        for what, result in PARTS[name](doors).items():
            out.print(
                f"{what}: {', '.join(result) if isinstance(result, list) and result else result or 'nothing new'}"
            )


def migrate(home: HomeOption = None) -> None:
    """Only the tables of both databases."""
    applied = migrate_both(doors_of(home))
    out.print("\n".join(applied) or "nothing new")


def folder_of(home: Path | None) -> Path:
    return data_folder(home or MachineSettings().home)


def doors_of(home: Path | None) -> Doors:
    """Those of the stack that runs in the home, else those that the environment names."""
    folder = folder_of(home)
    told = ProvisionSettings()
    if not is_running(folder):
        return Doors.of_settings(told, folder)
    found = Home(folder)
    found.load()
    return Doors.of_home(found, read_state(folder).get("partitions", told.topic_partitions))


def _await_ready(folder: Path, supervisor: subprocess.Popen[bytes] | None) -> None:
    """Until everything is up, by our supervisor or by the one that was there before it. Raises Unreachable where it did not come up."""
    with err.status("starting the river") as line:
        while (state := _told_by_the_living(folder)) != "ready":
            if (supervisor is None or supervisor.poll() is not None) and not is_running(folder):
                raise Unreachable(f"the stack did not start: {_reason(folder)}")
            if state == "stopping":
                raise Conflict(f"the stack in {folder} is ending; start it again when `payriver status` says stopped")
            line.update(f"starting the river: {_waiting_for(folder) if state else 'fetching what is missing'}")
            time.sleep(0.1)


def _told_by_the_living(folder: Path) -> str:
    """What the home's supervisor said last; nothing where that one is dead, and another may just have come."""
    told = read_state(folder)
    supervisor = told.get("supervisor")
    alive = supervisor and Identity(supervisor["pid"], supervisor["created"]).process() is not None
    return str(told["state"]) if alive else ""


def _detach(folder: Path, chain: Path | None, *flags: str) -> subprocess.Popen[bytes]:
    """The supervisor outlives this command: a session of its own, its words in a log."""
    options = [*(["--chain", str(chain.absolute())] if chain else []), *flags]
    command = [sys.executable, "-m", "api.cli.supervise", str(folder), *options]
    with (folder / "supervisor.log").open("wb") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env=dict(os.environ),
            cwd="/",
        )


def _waiting_for(folder: Path) -> str:
    starting = [row["component"] for row in read_state(folder).get("processes", []) if row["state"] == "starting"]
    return ", ".join(starting) or "provisioning"


def _reason(folder: Path) -> str:
    said = read_state(folder).get("error")
    return said or (folder / "supervisor.log").read_text(errors="replace").strip()[-800:]


def _print(report: Report) -> None:
    title = f"payriver: {report.state} in {report.home}"
    table = Table(title=title, title_justify="left", box=None)
    for heading in ("component", "state", "address", "version", "pid", "MiB", "restarts"):
        table.add_column(heading, justify="right" if heading in ("pid", "MiB", "restarts") else "left", overflow="fold")
    for row in report.components:
        name = row.component if row.kind == "server" else f"{row.component} {row.worker}"
        figures = (str(row.pid or ""), f"{row.rss_mb:.0f}", str(row.restarts or ""))
        table.add_row(name, _coloured(row.state), row.address, row.version, *figures)
    out.print(table if table.row_count else title, soft_wrap=not table.row_count, highlight=False)
    if report.error:
        err.print(report.error, style="red")


def _print_addresses(folder: Path) -> None:
    home = Home(folder)
    home.load()
    addresses.show(out, home)


def _coloured(state: str) -> str:
    return f"[{COLOURS.get(state, 'yellow')}]{state}[/]"
