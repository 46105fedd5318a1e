"""`payriver recover`: W and the topics in step again, after W was restored to an earlier point, the slot was lost, or Kafka lost records."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from confluent_kafka.admin import AdminClient
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from api.cli.options import HomeOption, JsonOption
from api.cli.stack import doors_of, folder_of
from api.roots.chain import ChainRoot, intents
from api.roots.provisioning import Doors, River
from connectors.debezium import register
from connectors.kafka import provision
from connectors.recovery.chain import Chain
from connectors.recovery.mend import Mended, Plan, Recovery
from connectors.recovery.reading import Progress as Tell
from infra.database import engine, transaction
from infra.settings import MachineSettings, ProvisionSettings
from infra.stack.report import is_running
from infra.stack.start_order import SERVERS
from infra.stack.supervisor import Stack
from schemas.registry import load_codec

SHOWN = 20
WITHOUT_CONNECT = tuple(name for name in SERVERS if name != "connect")


class Standstill(River):
    """The servers alone: tables, topics, schemas; nothing that reads W's log or appends to it."""

    def consumers(self, stack: Stack) -> None:
        """They are looked at, not held against anything. Connect would go on with the slot: so it is gone before Connect is there."""
        register.drop_slot(Doors.of(stack).cdc_url)

    def river(self, stack: Stack) -> None:
        """Not now."""


def recover(
    apply: Annotated[bool, typer.Option("--apply", help="Do it; without this only what is amiss is told.")] = False,
    park: Annotated[bool, typer.Option("--park", help="Put aside for a person what contradicts W.")] = False,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Hold W against the topics. Bring back what W lost, announce again what the topics lack. None of our processes may run."""
    console = Console(stderr=as_json)
    with _servers(home, SERVERS if apply else WITHOUT_CONNECT) as doors:
        recovery = _recovery(doors, home)
        with _bar(console) as tell:
            plan = recovery.look(tell)
            done = recovery.mend(tell, park=park) if apply and not plan.agrees else None
    if as_json:
        typer.echo(json.dumps(_told(plan, done), indent=2))
    else:
        _show(console, plan, done)
    if done is None and not plan.agrees:
        raise typer.Exit(1)


@contextmanager
def _servers(home: Path | None, servers: Sequence[str]) -> Iterator[Doors]:
    """Servers that run, or these of the embedded stack's home, started for this alone."""
    folder, told, machine = folder_of(home), ProvisionSettings(), MachineSettings()
    if is_running(folder) or told.write_url.get_secret_value() or not folder.exists():
        yield doors_of(home)
        return
    stack = Stack(
        folder,
        throwaway=False,
        servers=servers,
        components=(),
        provisioner=Standstill(),
        partitions=told.topic_partitions,
        cache=machine.cache,
        mirror=machine.maven_mirror,
        offline=machine.offline,
    )
    with stack:
        yield replace(Doors.of(stack), restore=False)


def _recovery(doors: Doors, home: Path | None) -> Recovery:
    write, read = (
        engine(url, pool_size=1, application_name="payriver recover") for url in (doors.write_url, doors.read_url)
    )
    with transaction(write) as cursor:
        codec = load_codec(cursor)
    write.dispose()
    chain = _chain(ChainRoot.begin("owner", home=home), doors)
    return Recovery(write, read, doors.cdc_url, doors.kafka, doors.connect_url, codec, doors.database, chain)


def _chain(root: ChainRoot, doors: Doors) -> Chain | None:
    """The node and the keys' addresses, where a chain file and a keystore are named."""
    if root.settings.chain_file is None or root.settings.keystore is None or not root.settings.chain_file.exists():
        return None
    places = {(place.topic, place.partition): place for place in provision.places(AdminClient(dict(doors.kafka)))}
    ours = frozenset(root.address(name) for name in _senders(root.settings.keystore))
    chain = Chain(root.chain, root.rpc, intents(root), ours, places)
    root.write.dispose()  # a connection of ours that is left open would be taken for a process that runs
    return chain


def _senders(keystore: Path) -> list[str]:
    return [path.stem for path in keystore.glob("*.json") if path.stem.partition("-")[0] in ("settlement", "relayer")]


def _told(plan: Plan, done: Mended | None) -> dict[str, object]:
    survey = plan.survey
    told: dict[str, object] = {
        "records": survey.records,
        "lost": [each.headers["ce_id"] for each in survey.lost],
        "conflicts": [{"event": each.record.headers["ce_id"], "why": each.why} for each in survey.conflicts],
        "lacking": plan.lacking,
        "slot": plan.slot,
        "anchors": [each.tx_hash for each in plan.anchors],
        "astray": plan.astray,
    }
    if done is not None:
        back = done.back
        told |= {"events_back": back.events, "answers_back": back.answers, "accounts_back": back.accounts}
        told |= {
            "unanswered": [str(each) for each in back.unanswered],
            "announced": done.announced,
            "parked": done.parked,
            "transactions_back": done.transactions,
            "refunds_in_doubt": done.in_doubt,
            "anchors_back": done.anchors,
            "set_right": done.set_right,
        }
    return told


def _show(console: Console, plan: Plan, done: Mended | None) -> None:
    survey = plan.survey
    table = Table(box=None, show_header=False)
    table.add_row(f"{survey.records:,}", "records on the topics")
    table.add_row(f"{len(survey.lost):,}", "events on the topics that W has lost")
    table.add_row(f"{len(survey.conflicts):,}", "events on the topics that contradict W")
    table.add_row(f"{plan.lacking:,}", "rows of the outbox that the topics lack")
    table.add_row(f"{len(plan.anchors):,}", "anchors on the chain that W has lost")
    table.add_row(f"{plan.astray:,}", "consumers' places where a topic has nothing: Kafka lost records")
    if not plan.slot:
        table.add_row("no", "[red]slot in W that the connector reads[/]")
    if done is not None:
        table.add_row(f"{done.back.events:,}", "[green]events brought back[/]")
        table.add_row(f"{done.back.answers:,}", "[green]answers to commands brought back[/]")
        table.add_row(f"{done.transactions:,}", "[green]transactions of ours, asked of the node[/]")
        table.add_row(f"{done.in_doubt:,}", "[yellow]refunds in doubt, parked (payriver parked list)[/]")
        table.add_row(f"{done.anchors:,}", "[green]anchors brought back[/]")
        table.add_row(f"{done.announced:,}", "[green]rows announced again[/]")
        table.add_row(f"{done.set_right:,}", "[green]consumers' places set right[/]")
        table.add_row(f"{done.parked:,}", "[yellow]events put aside for a person[/]")
    console.print(table)
    for each in survey.conflicts[:SHOWN]:
        console.print(
            f"[yellow]contradicts[/]  {escape(each.record.headers.get('ce_type', ''))} {each.record.headers['ce_id']}: {each.why}"
        )
    if plan.agrees:
        console.print("W and the topics agree.", style="bold green")
    elif done is None:
        console.print("`payriver recover --apply` does it.", style="bold yellow")
    else:
        console.print("In step again: start our processes, then `payriver verify`.", style="bold green")


@contextmanager
def _bar(console: Console) -> Iterator[Tell]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("records")
        yield lambda what, done, total: progress.update(task, description=what, completed=done, total=total)
