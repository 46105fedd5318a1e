"""The second net under the stack's processes: waits for the supervisor's end, however it comes, and then ends what is left.

Told over its standard input which processes there are (a line of JSON each); the end of the input is the supervisor's end.
"""

from __future__ import annotations

import json
import shutil
import signal
import sys
from pathlib import Path

from infra.stack.process import Identity, end

GRACE_SECONDS = 12.0


def main() -> None:
    """Usage: `python -m infra.stack.watchdog [FOLDER]`; the folder, a throw-away home, is removed at the end."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    watched: dict[Identity, int] = {}
    for line in sys.stdin:
        told = json.loads(line)
        watched[Identity(told["pid"], told["created"])] = told["signal"]
    end(watched, GRACE_SECONDS)
    for folder in sys.argv[1:]:
        shutil.rmtree(Path(folder), ignore_errors=True)


if __name__ == "__main__":
    main()
