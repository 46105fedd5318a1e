"""What many commands take, in the same words everywhere: where the embedded stack's home is, and whether a program reads the answer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

HomeOption = Annotated[Path | None, typer.Option("--home", help="The embedded stack's folder; also PAYRIVER_HOME.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
