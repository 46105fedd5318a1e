"""The Kafka UI's server: two pages a topic and one for the whole broker, each a kaskade in the browser. Runs in its own environment.

Started by `payriver ui`, not by hand: `python serve.py FOLDER`. Loopback only; it loads nothing from outside.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
from html import escape
from pathlib import Path
from typing import Any

import textual_serve
from aiohttp import web
from textual_serve.server import Server

NEWEST = Path(__file__).with_name("newest.py")
PATIENCE_SECONDS = 2.0  # for open pages, once it is told to end; a terminal in a browser goes on for ever
OUTSIDE = re.compile(r"<link[^>]*https?://[^>]*>", re.DOTALL)
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>payriver: Kafka</title>
<style>body{{font:16px/1.6 system-ui,sans-serif;background:#0c181f;color:#dfe7ea;margin:3rem auto;max-width:44rem;padding:0 1rem}}
a{{color:#7fd1ff;text-decoration:none}}a:hover{{text-decoration:underline}}td{{padding:.2rem 1.5rem .2rem 0}}small{{color:#8fa3ad}}</style>
<h1>Kafka</h1><p><a href="admin/">Topics, partitions, groups and their lag</a></p><table>{rows}</table>
<p><small>A topic's page begins with its newest messages; <kbd>n</kbd> reads on from there. To look for something, take
<em>all</em>: it begins at the beginning, and <kbd>/</kbd> filters by key, value, partition or header.<br>
Everything here looks and changes nothing: the user is <code>ui</code>, and Kafka refuses it what it may not do.
Counts are offsets, so the marks that end transactions count too.</small></p></html>"""


class Quiet(Server):  # type: ignore[misc]
    """One kaskade of the page, without textual-serve's own greeting."""

    async def on_startup(self, app: web.Application) -> None:
        """Says nothing: the whole has said it."""

    def page(self) -> Any:
        """Its routes, to stand below a path of the whole."""
        return self._make_app()


def templates(folder: Path) -> Path:
    """textual-serve's templates as they came, less what they would load from outside."""
    folder.mkdir()
    for path in (Path(textual_serve.__file__).parent / "templates").iterdir():
        text = OUTSIDE.sub("", path.read_text())
        (folder / path.name).write_text(text)
    return folder


async def whole(told: dict[str, Any], folder: Path) -> web.Application:
    """The list of pages, and the pages."""
    base, client = f"http://127.0.0.1:{told['port']}", str(folder / "client.ini")
    clean = templates(folder / "templates")
    kaskade = [sys.executable, "-m", "kaskade.main"]
    read = ["consumer", "--config-file", client, "-k", "string", "-v", "registry"]
    commands = {"admin": [*kaskade, "admin", "--config-file", client]}
    for topic in told["topics"]:
        commands[topic] = [sys.executable, str(NEWEST), client, topic, *read]
        commands[f"{topic}.all"] = [*kaskade, *read, "--earliest", "-t", topic]
    app = web.Application()
    for name, command in commands.items():
        server = Quiet(shlex.join(command), "127.0.0.1", told["port"], name, base, templates_path=clean)
        app.add_subapp(f"/{name}", await server.page())
    rows = "".join(
        f'<tr><td><a href="{escape(name)}/">{escape(name)}</a></td><td><a href="{escape(name)}.all/">all</a></td>'
        f"<td>{escape(doc)}</td></tr>"
        for name, doc in told["topics"].items()
    )

    async def listing(_request: web.Request) -> web.Response:
        return web.Response(text=PAGE.format(rows=rows), content_type="text/html")

    async def greet(_app: web.Application) -> None:
        sys.stdout.write(f"Kafka: {base}/   (Ctrl-C ends it)\n")
        sys.stdout.flush()

    app.router.add_get("/", listing)
    app.on_startup.append(greet)
    return app


def main() -> None:
    """Serve until SIGTERM or SIGINT; the folder, which holds a password, goes with us."""
    folder = Path(sys.argv[1])
    try:
        told = json.loads((folder / "pages.json").read_text())
        options = {"host": "127.0.0.1", "port": told["port"], "shutdown_timeout": PATIENCE_SECONDS}
        web.run_app(whole(told, folder), print=lambda *_: None, **options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
