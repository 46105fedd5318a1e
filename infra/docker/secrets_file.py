"""Prints the file of secrets that docker-compose.yml is given: `python -m infra.docker.secrets_file > infra/docker/.env`.

Names as the embedded stack knows them: PAYRIVER_SECRET_WRITE_COMMANDS is the password of role `commands` on W, and so on.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable

from infra.stack.roles import secret_names

HEADER = "# Every password of the containers. Made by `python -m infra.docker.secrets_file > infra/docker/.env`; never committed.\n"
EXAMPLE = "change-me"


def variable(name: str) -> str:
    """`write.commands` -> PAYRIVER_SECRET_WRITE_COMMANDS."""
    return f"PAYRIVER_SECRET_{name.upper().replace('.', '_').replace('-', '_')}"


def text(password: Callable[[], str]) -> str:
    """The file, with a password from `password` for each name."""
    return HEADER + "".join(f"{variable(name)}={password()}\n" for name in secret_names())


def main() -> None:
    """A file with random passwords on standard output."""
    sys.stdout.write(text(lambda: secrets.token_hex(24)))


if __name__ == "__main__":
    main()
