"""From when on something is late is a rule of the process, told beside the figure; the page and the alarms go by what is told."""

from __future__ import annotations

import anyio

from api.answers.health import Health
from api.answers.metrics import AnswerTimes, exposition
from infra.database import engine
from infra.settings import Settings

NOWHERE = "postgresql://nobody:nothing@127.0.0.1:1/payriver"


def test_the_limits_that_a_process_was_told_are_told_on_also_where_no_server_answers() -> None:
    rules = Settings(read_late_seconds=3, chain_stale_seconds=7, anchor_seconds=50)
    found = anyio.run(Health(engine(NOWHERE), engine(NOWHERE), rules).readiness)
    assert found.status == "not_ready"
    assert (found.read_late_seconds, found.chain_stale_seconds, found.anchor_late_seconds) == (3, 7, 100)
    told = exposition(AnswerTimes(), 0, found).splitlines()
    assert {"payriver_read_late_seconds 3", "payriver_chain_stale_seconds 7", "payriver_anchor_late_seconds 100"} <= {
        *told
    }
