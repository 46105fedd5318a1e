"""What is told of an account that is to come under watch, by a person or by who found it. All else is read from the chain."""

from __future__ import annotations

from dataclasses import dataclass, replace
from uuid import UUID

from connectors.chain.accounts.reading import AccountContracts
from connectors.chain.settings import Token, written_address
from infra.errors import BadInput


@dataclass(frozen=True)
class Request:
    """What a person tells of an account; all else is read from the chain. Settlement has no modules and no card."""

    wallet: str
    token: Token
    kind: str = "customer"
    roles_module: str | None = None
    delay_module: str | None = None
    card_token: str | None = None
    person_id: UUID | None = None


@dataclass(frozen=True)
class Found:
    """An account that was found on chain. Its facts count from `made_block` on; None: from the block at which it was found."""

    request: Request
    made_block: int | None


def written(request: Request) -> Request:
    """With its addresses as EIP-55 writes them. Raises BadInput for what is none."""
    roles, delay = request.roles_module, request.delay_module
    try:
        return replace(
            request,
            wallet=written_address(request.wallet),
            roles_module=roles and written_address(roles),
            delay_module=delay and written_address(delay),
        )
    except ValueError as error:
        raise BadInput(str(error)) from None


def contracts_of(request: Request) -> AccountContracts:
    """The contracts that are read."""
    return AccountContracts.of(request.wallet, request.token.address, request.roles_module, request.delay_module)
