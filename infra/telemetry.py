"""What a process says of itself: JSON lines with component, worker, payment and trace ids; and W3C trace contexts."""

from __future__ import annotations

import logging
import secrets
import sys
from uuid import UUID

import structlog

from infra.settings import Settings


def configure_logging(settings: Settings) -> None:
    """Everything this process logs, ours and the libraries', as one JSON object a line on stderr (or in colour: console)."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    console = settings.log_format == "console"
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if console else structlog.processors.JSONRenderer()
    )
    level = logging.getLevelName(settings.log_level.upper())
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processor=renderer)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=max(level, logging.WARNING), force=True)
    structlog.contextvars.bind_contextvars(component=settings.component, worker=settings.worker)


def new_traceparent() -> str:
    """A W3C Trace Context header for a story that begins here: version 00, trace id, span id, sampled."""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"


def traceparent_of(story: UUID) -> str:
    """The same for a story that has an id, and nothing drawn: whoever tells it again names the same trace."""
    return f"00-{story.hex}-{story.hex[16:]}-01"
