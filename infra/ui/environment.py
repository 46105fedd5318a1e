"""Kaskade and what it needs, about 150 MB, in an environment of its own.

It brings `avro`, which has the same modules as the avro-python3 that judges our bytes: the two never share an environment.
"""

from __future__ import annotations

from pathlib import Path

from infra.stack.side_environment import SideEnvironment

LOCK = Path(__file__).with_name("requirements.lock")
KAFKA_UI = SideEnvironment("ui", LOCK, "the Kafka UI", "payriver ui")
