"""Every error of the product hangs on this one tree, so that a park, a page and a log name it by the same word.

PayriverError                a named error: what was wrong, with which value, what to do; `reason` is its short word
├── BadInput                 the caller's value cannot be taken            (HTTP 400/422; a message: parked)
│   ├── Undecodable          bytes are not what they claim to be
│   └── UnknownType          a message type nobody has told us of
├── NotFound                 no such payment, account, message             (HTTP 404)
├── Conflict                 the world moved on since you looked           (HTTP 409)
│   ├── EventIdReused        the same event id with other content
│   ├── CommandIdReused      the same command id with other business fields
│   ├── Forgotten            the person was forgotten, for good
│   └── LegallyHeld          a legal hold stands against forgetting the person
├── TooLate                  the deadline passed by the write server's clock
├── Retry                    may pass by itself: try again after a pause
│   ├── VersionConflict      a stream is not at the expected version
│   ├── NotAnswered          the payment has no answer yet that the message could follow
│   └── Unreachable          a server does not answer
└── Stop                     must not go on without a person
    ├── MissingCheckpoint    a partition has no provisioned checkpoint
    ├── BehindTopics         W was restored to a point before what the topics hold
    ├── LostRecords          a topic lacks records that a consumer was told of, or has yet to take
    ├── FinalityBroken       a reorg deeper than finality
    └── Misconfigured        settings that cannot work
"""

from __future__ import annotations


class PayriverError(Exception):
    """A named error. `reason` is the short word that a park, a page and a metric use."""

    reason = "failed"


class BadInput(PayriverError):
    """The caller's value cannot be taken; nothing was changed."""

    reason = "bad_input"


class Undecodable(BadInput):
    """Bytes are not what they claim to be."""

    reason = "undecodable"


class UnknownType(BadInput):
    """A message type nobody has told us of."""

    reason = "unknown_type"


class NotFound(PayriverError):
    """No such payment, account or message."""

    reason = "not_found"


class Conflict(PayriverError):
    """The world moved on since the caller looked; look again."""

    reason = "conflict"


class EventIdReused(Conflict):
    """The same event id was appended before with other content."""

    reason = "event_id_reused"


class CommandIdReused(Conflict):
    """The same command id came before with other business fields."""

    reason = "command_id_reused"


class Forgotten(Conflict):
    """The person was forgotten, for good."""

    reason = "forgotten"


class LegallyHeld(Conflict):
    """A legal hold stands against forgetting the person."""

    reason = "legally_held"


class TooLate(PayriverError):
    """The deadline passed by the write server's clock; nothing was changed."""

    reason = "deadline_passed"


class Retry(PayriverError):
    """May pass by itself: try again after a pause."""

    reason = "retry"


class VersionConflict(Retry):
    """A stream is not at the version that the decision was made on."""

    reason = "version_conflict"

    def __init__(self, stream_id: object, expected: int, actual: int) -> None:
        super().__init__(
            f"stream {stream_id} is at version {actual}, the decision was made at {expected}; decide again"
        )
        self.stream_id, self.expected, self.actual = stream_id, expected, actual


class Deadlocked(Retry):
    """Rival transactions waited for each other, and the write server ended this one's statement (SQLSTATE 40P01); nothing was changed."""

    reason = "deadlocked"


class NotAnswered(Retry):
    """The message follows an answer that is still to come, within seconds; nothing was stored."""

    reason = "not_answered"


class Unreachable(Retry):
    """A server does not answer."""

    reason = "unreachable"


class Stop(PayriverError):
    """Must not go on without a person."""

    reason = "stopped"


class MissingCheckpoint(Stop):
    """A partition has no provisioned checkpoint; run `payriver provision`."""

    reason = "missing_checkpoint"


class BehindTopics(Stop):
    """W was restored to a point before what the topics hold; run `payriver recover`."""

    reason = "behind_topics"


class LostRecords(Stop):
    """A topic lacks records that a consumer was told of, or has yet to take; run `payriver recover`."""

    reason = "lost_records"


class FinalityBroken(Stop):
    """The chain reorganised deeper than the finality we were told to trust."""

    reason = "finality_broken"


class Misconfigured(Stop):
    """Settings that cannot work."""

    reason = "misconfigured"
