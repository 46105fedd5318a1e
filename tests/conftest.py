"""What all tests stand on: the real servers, once a session, provisioned, with as few partitions as production may have."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from api.roots.provisioning import River
from infra.stack.choice import stack_for_tests
from infra.stack.supervisor import Stack

PARTITIONS = 4

# A shell that starts the tests in the background has them ignore SIGINT, and so would all that they start: tests press Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

# What the tests' helpers assert tells its values when it fails, as in the tests themselves.
pytest.register_assert_rewrite("tests.integration", "tests.browser", "tests.acceptance")

# A busy machine is no defect of a rule: no property has a deadline, and the examples are the same at every run of one version.
settings.register_profile("payriver", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("payriver")


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """Two PostgreSQL, Kafka, registry, Connect and an EVM node, all provisioned; thrown away at the end of the session."""
    with stack_for_tests(River(), partitions=PARTITIONS) as running:
        yield running


ORDER = ("architecture", "unit", "contract", "integration", "browser", "acceptance")
"""What is quick comes first; the whole river starts last, when nothing else needs the machine."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Folder by folder, each in its own order."""

    def place(item: pytest.Item) -> int:
        return next((i for i, folder in enumerate(ORDER) if f"/tests/{folder}/" in item.path.as_posix()), len(ORDER))

    items.sort(key=place)
