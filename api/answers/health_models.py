"""What the API says of itself and of the river: whether it lives, whether it can do its work, and how late what is."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from api.answers.models import Answer, Instant


class Liveness(Answer):
    """This process answers."""

    status: Literal["live"] = "live"


class Server(Answer):
    """A server that this process needs."""

    name: str = Field(examples=["write"])
    reachable: bool
    milliseconds: float | None = Field(description="How long it took to answer.", examples=[0.8])
    error: str | None = None


class Readiness(Answer):
    """Whether this process can do its work, and how far the read side is behind the write side."""

    status: Literal["ready", "not_ready"]
    servers: list[Server]
    newest_position: int | None = Field(default=None, description="Newest event in the store.", examples=[20431])
    unsettled_positions: int | None = Field(
        default=None,
        description="Positions that readers of all events wait with, for appends that go on.",
        examples=[0],
    )
    longest_append_seconds: float | None = Field(
        default=None,
        description="Age of the oldest transaction that appends; who it is: `payriver status`.",
        examples=[0.0],
    )
    delivered_position: int | None = Field(default=None, description="Newest event on the read side.", examples=[20431])
    lag_events: int | None = Field(default=None, description="Positions between the two.", examples=[0])
    lag_seconds: float | None = Field(
        default=None, description="Age of the oldest event after the newest delivered one.", examples=[0.0]
    )
    chain_block_number: int | None = Field(default=None, description="Newest block seen.", examples=[41030])
    chain_age_seconds: float | None = Field(
        default=None,
        description="How old the view of the chain is: since the listener moved, or the newest block's age. Authorizations stop when it is stale.",
    )
    drifts_observed: int | None = Field(
        default=None, description="How often the contracts contradicted our view of an account.", examples=[0]
    )
    endpoints_outvoted: int | None = Field(
        default=None, description="How often a node was contradicted by most of the others.", examples=[0]
    )
    closed_spends_mined: int | None = Field(
        default=None,
        description="How often a block had a spend after all that a person had closed; what was approved meanwhile may not be covered.",
        examples=[0],
    )
    unanchored_seconds: float | None = Field(
        default=None, description="Age of the oldest event that no final anchor covers; null: there is none."
    )
    read_late_seconds: int | None = Field(
        default=None, description="The read side is late from this `lag_seconds` on.", examples=[30]
    )
    chain_stale_seconds: int | None = Field(
        default=None, description="The view of the chain is stale from this `chain_age_seconds` on.", examples=[60]
    )
    anchor_late_seconds: int | None = Field(
        default=None, description="An anchor is late from this `unanchored_seconds` on.", examples=[7200]
    )
    parked_write_messages: int | None = Field(
        default=None, description="Messages that wait for a person, of the consumers that write W.", examples=[0]
    )
    parked_read_messages: int | None = Field(default=None, description="The same of the projector, on R.", examples=[0])
    rebuilding_since: Instant | None = Field(
        default=None,
        description="Since when the read models are being made anew. Until the new ones are in their place, answers come from those of before.",
    )
    set_aside_shown: int | None = Field(
        default=None,
        description="Events that a person put aside and that the read models still show: they are wrong until they are made anew.",
        examples=[0],
    )
    parked_sagas: int | None = Field(default=None, description="Sagas that wait for a person.", examples=[0])
    parked_webhooks: int | None = Field(default=None, description="Webhooks that wait for a person.", examples=[0])
