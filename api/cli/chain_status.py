"""`payriver chain status`: how the nodes answer, where the listener stands, and whom it watches."""

from __future__ import annotations

import sys
from typing import Any

import orjson
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from api.cli.chain_climb import TAGS
from api.cli.chain_watch import watch
from api.cli.fitting import Fitting
from api.cli.options import HomeOption, JsonOption
from api.roots.chain import ChainRoot
from connectors.chain.listening.contradictions import outvoted
from connectors.chain.node.endpoint import Endpoint
from connectors.chain.node.errors import RpcRefused
from infra.database import transaction

chain = typer.Typer(no_args_is_help=True, help="The chain, its nodes and the listener.")
CURSOR = """
SELECT seen_number, seen_time, final_number, extract(epoch FROM clock_timestamp() - moved_at)::float, holder,
       lease_until > clock_timestamp() FROM chain_cursors WHERE chain_id = %s
"""
WALLETS = "SELECT kind || ' ' || state, count(*) FROM chain_wallets WHERE chain_id = %s GROUP BY 1 ORDER BY 1"
MODULES = """
SELECT coalesce(verdict, 'not final yet'), count(*) FROM chain_modules WHERE chain_id = %s GROUP BY 1 ORDER BY 2 DESC
"""
EARLIER = "SELECT from_block, read_block, until_block FROM chain_backfills WHERE chain_id = %s"


chain.command()(watch)


@chain.callback()
def about() -> None:
    """The chain, its nodes and the listener."""


@chain.command()
def status(
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Each node with its health and its heads; the listener's cursor and lag; the wallets under watch."""
    root = ChainRoot.begin("auditor", home=home)
    told = {"chain_id": root.chain.chain_id, "nodes": nodes(root), **listener(root)}
    if as_json:
        sys.stdout.buffer.write(orjson.dumps(told, option=orjson.OPT_INDENT_2) + b"\n")
    else:
        show(Console(), told)


def nodes(root: ChainRoot) -> list[dict[str, Any]]:
    """Every node of the chain file, asked now."""
    pool = root.rpc.pool
    with transaction(root.write) as cursor:
        times = outvoted(cursor, root.chain.chain_id)
    said = {tag: pool.everywhere(("eth_getBlockByNumber", [tag, False])) for tag in TAGS}
    heights = {each: {tag: _height(said[tag].get(each)) for tag in TAGS} for each in pool.endpoints}
    return [_node(each, heights[each], times.get(each.name, 0)) for each in pool.endpoints]


def listener(root: ChainRoot) -> dict[str, Any]:
    """Where the listener stands, by its own tables."""
    chain_id = root.chain.chain_id
    with transaction(root.write) as cursor:
        cursor.execute(CURSOR, (chain_id,))
        row = cursor.fetchone()
        cursor.execute(WALLETS, (chain_id,))
        wallets = dict(cursor.fetchall())
        cursor.execute(MODULES, (chain_id,))
        modules = dict(cursor.fetchall())
        cursor.execute(EARLIER, (chain_id,))
        earlier = cursor.fetchone()
    names = ("seen", "seen_time", "final", "moved_seconds_ago", "holder", "working")
    return {
        "cursor": dict(zip(names, row, strict=True)) if row else None,
        "wallets": wallets,
        "modifiers": modules,
        "earlier": dict(zip(("from", "read", "until"), earlier, strict=True)) if earlier else None,
    }


def show(console: Console, told: dict[str, Any]) -> None:
    """As a person reads it."""
    console.print(_nodes(told))
    cursor = told["cursor"]
    if cursor is None:
        console.print("[yellow]no listener has begun[/]; `payriver up` or `payriver listen` starts one")
        return
    heads = [each["latest"] for each in told["nodes"] if each["latest"] is not None]
    lag = max(0, max(heads) - cursor["seen"]) if heads else None  # it may have moved since the nodes were asked
    working = f"works as {cursor['holder']}" if cursor["working"] else "[red]does not work: start `payriver listen`[/]"
    console.print(f"listener   {working}")
    console.print(
        f"           seen {cursor['seen']:,}, final {cursor['final']:,}, moved {cursor['moved_seconds_ago']:.1f} s ago"
    )
    if lag is not None:
        console.print(Text(f"           {lag:,} blocks behind the head", style="green" if lag < 3 else "red"))
    if told["earlier"]:
        earlier = told["earlier"]
        console.print(f"earlier    blocks {earlier['from']:,} to {earlier['until']:,}, read up to {earlier['read']:,}")
    if not told["wallets"]:
        console.print("wallets    none is under watch; `payriver account register` takes one", highlight=False)
    for what in ("wallets", "modifiers"):
        for name, count in told[what].items():
            console.print(f"{what:<10} {count:>9,}  {name}", highlight=False)


def _nodes(told: dict[str, Any]) -> Fitting:
    table = Table(title=f"Chain {told['chain_id']}", title_justify="left", box=None)
    for name in ("node", "state", "latency", *TAGS, "blocks at once", "outvoted", "last error"):
        figure = name in ("latency", *TAGS, "blocks at once", "outvoted")
        table.add_column(
            name, justify="right" if figure else "left", overflow="fold" if name == "last error" else "ellipsis"
        )
    for each in told["nodes"]:
        state = Text(each["state"], style="green" if each["state"] == "well" else "red")
        heights = ["-" if each[tag] is None else f"{each[tag]:,}" for tag in TAGS]
        at_once = "-" if each["range_limit"] is None else f"{each['range_limit']:,}"
        lies = Text(str(each["outvoted"] or "-"), style="red" if each["outvoted"] else "")
        table.add_row(each["node"], state, f"{each['latency_ms']:.1f} ms", *heights, at_once, lies, each["last_error"])
    return Fitting(table)


def _node(endpoint: Endpoint, heights: dict[str, int | None], outvoted: int) -> dict[str, Any]:
    return {
        "node": endpoint.name,
        "state": endpoint.state,
        "latency_ms": round(endpoint.latency * 1000, 2),
        **heights,
        "range_limit": endpoint.range_limit,
        "outvoted": outvoted,
        "last_error": endpoint.banned or endpoint.last_error,
    }


def _height(answer: Any) -> int | None:
    """None where the node does not answer the tag, or not at all."""
    return None if answer is None or isinstance(answer, RpcRefused) else int(answer["number"], 16)
