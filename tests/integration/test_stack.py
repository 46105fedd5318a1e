"""The embedded stack keeps its promises: everything starts, what dies comes back, what is kept is found again, and nothing is left."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from confluent_kafka import TopicCollection
from confluent_kafka.admin import ConfigResource

from api.roots.provisioning import Doors, River, provision_all
from connectors.kafka.access import TOPIC, WRITE, allow
from infra.errors import Misconfigured
from infra.stack.choice import choose
from infra.stack.report import is_running, look
from infra.stack.servers.kafka import DataOfNewerKafka
from infra.stack.start_order import SERVERS
from infra.stack.supervisor import Stack
from schemas.topics import FOR_EVER, SUBSCRIPTIONS, TOPICS
from tests.integration.outbox import header, random_row, read_records, write_rows

pytestmark = pytest.mark.skipif(
    choose() != "embedded", reason="about the embedded servers; here a Docker engine answers"
)

NEWER_KAFKA = "4.3-IV0"
STARTER = """
import time
from infra.stack.supervisor import Stack
stack = Stack(servers=("write", "kafka", "node"), components=())
stack.start()
print(stack.home.folder, stack.pid("write"), stack.pid("kafka"), stack.pid("node"), flush=True)
time.sleep(600)
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty folder that the database's user may pass, whoever runs the tests."""
    made = Path(tempfile.mkdtemp(prefix="payriver-test-", dir="/tmp"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made, ignore_errors=True)


# --- a whole stack ---------------------------------------------------------------------------------------------------


def test_every_server_runs_on_loopback_alone_and_says_its_version(stack: Stack) -> None:
    report = look(stack.home.folder)
    assert report.state == "ready"
    assert {row.component: row.state for row in report.components} == dict.fromkeys(SERVERS, "running")
    assert all(row.version and row.address and row.pid and row.rss_mb > 1 for row in report.components)
    listening = [c.laddr.ip for row in report.components for c in _sockets(row.pid) if c.status == psutil.CONN_LISTEN]
    assert len(listening) >= len(SERVERS)
    assert {ip.removeprefix("::ffff:") for ip in listening} == {"127.0.0.1"}


def test_provisioning_twice_changes_nothing(stack: Stack) -> None:
    before = _checkpoints(stack)
    done = provision_all(Doors.of(stack))
    assert (done["migrations"], done["topics made"], done["slot made"]) == ([], [], False)
    assert (done["permissions given"], done["permissions taken away"]) == (0, 0)
    assert _checkpoints(stack) == before


def test_topics_have_their_width_and_keep_events_for_ever(stack: Stack) -> None:
    names = [topic.name for topic in TOPICS]
    found = stack.admin.describe_topics(TopicCollection(names))
    assert all(len(future.result().partitions) == stack.partitions for future in found.values())
    wanted = [ConfigResource(ConfigResource.Type.TOPIC, name) for name in names]
    kept = {
        each.name: future.result()["retention.ms"].value
        for each, future in stack.admin.describe_configs(wanted).items()
    }
    assert {name for name, kept_ms in kept.items() if int(kept_ms) == FOR_EVER} == {
        n for n in names if n.endswith(".events")
    }


def test_each_consumer_has_a_checkpoint_for_each_partition_in_its_own_database(stack: Stack) -> None:
    expected = {
        (s.server, s.component, topic, number)
        for s in SUBSCRIPTIONS
        for topic in s.topics
        for number in range(stack.partitions)
    }
    assert {row[:4] for row in _checkpoints(stack)} == expected


def test_a_topic_of_another_width_is_refused_since_keys_would_move(stack: Stack) -> None:
    other = Doors.of_home(stack.home, stack.partitions + 1)
    with pytest.raises(Misconfigured, match="has 4 partitions, the settings say 5"):
        provision_all(other)


def test_a_permission_that_the_table_does_not_name_is_taken_away(stack: Stack) -> None:
    forged = allow("sagas", TOPIC, "payments.events", WRITE)
    for future in stack.admin.create_acls([forged]).values():
        future.result(10)
    assert provision_all(Doors.of(stack))["permissions taken away"] == 1


# --- what dies, and what is left ---------------------------------------------------------------------------------------


def test_a_server_that_dies_is_started_again_at_its_old_address(stack: Stack) -> None:
    before = stack.pid("registry")
    stack.kill("registry", stay_down=False)
    assert eventually(lambda: httpx.get(f"{stack.url('registry')}/subjects", trust_env=False).is_success, seconds=60)
    assert stack.pid("registry") != before
    assert eventually(lambda: {r.component: r.restarts for r in look(stack.home.folder).components}["registry"] == 1)


def test_a_second_supervisor_of_the_same_home_is_refused(stack: Stack) -> None:
    with pytest.raises(Misconfigured, match=r"runs in .* already"):
        Stack(stack.home.folder, servers=("write",), components=()).start()
    assert look(stack.home.folder).state == "ready"


@pytest.mark.parametrize("frozen", [False, True])
def test_nothing_outlives_a_supervisor_that_is_killed(frozen: bool) -> None:
    starter, home, pids = start_elsewhere()
    if frozen:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
    starter.kill()
    starter.wait()
    assert eventually(lambda: not _alive(home), seconds=30)
    assert eventually(lambda: not home.exists())


def test_the_next_start_ends_and_removes_what_even_the_watchdog_could_not() -> None:
    starter, home, pids = start_elsewhere()
    [watchdog] = [p for p in psutil.Process(starter.pid).children() if "infra.stack.watchdog" in " ".join(p.cmdline())]
    os.kill(pids[2], signal.SIGSTOP)  # the kernel asks it to end, and it does not listen
    watchdog.kill()
    starter.kill()
    starter.wait()
    assert eventually(lambda: {p.pid for p in _alive(home)} == {pids[2]}, seconds=30)
    with Stack(servers=("write",), components=()):
        assert not _alive(home)
        assert not home.exists()


def test_interrupted_at_any_moment_of_its_start_nothing_is_left(folder: Path) -> None:
    for seconds in (0.3, 0.9, 1.2, 1.8, 2.5):
        starter = spawn_starter(TMPDIR=str(folder))
        time.sleep(seconds)
        assert interrupted(starter) != 0
        assert _alive(folder) == []
        assert list(folder.iterdir()) == [], f"interrupted after {seconds} s"


# --- kept data ---------------------------------------------------------------------------------------------------------


def test_a_kept_home_goes_on_where_it_was(folder: Path) -> None:
    first, second = (random_row("payments.events", "kept", number) for number in (1, 2))
    with Stack(folder / "home", components=(), provisioner=River(), partitions=4) as stack:
        _rpc(stack, "anvil_mine", "0x7")
        write_rows(stack, [first])
        read_records(stack, ["payments.events"], lambda found: len(found) == 1, seconds=20)
    assert not is_running(folder / "home")
    assert look(folder / "home").state == "stopped"

    with Stack(folder / "home", components=(), provisioner=River(), partitions=4) as stack:
        write_rows(stack, [second])
        records = read_records(stack, ["payments.events"], lambda found: len(found) == 2, seconds=30)
        assert [header(record, "stream_version") for record in records] == ["1", "2"]
        assert int(_rpc(stack, "eth_blockNumber"), 16) == 7
    assert not _alive(folder)


def test_a_broker_that_is_kept_acknowledges_what_is_on_its_disk(folder: Path) -> None:
    with Stack(folder / "home", servers=("kafka",), components=()) as stack:
        broker = ConfigResource(ConfigResource.Type.BROKER, "1")
        found = stack.admin.describe_configs([broker])[broker].result(10)
        assert found["log.flush.interval.messages"].value == "1"


def test_data_of_a_newer_kafka_are_named_with_what_to_do(folder: Path) -> None:
    """Formatted by our own broker's tool at the version after its own, which it only writes when it is told that nobody relies on it."""
    with Stack(folder / "home", servers=("kafka",), components=()) as stack:
        broker = stack.servers["kafka"]
    home = folder / "home"
    shutil.rmtree(home / "kafka")
    configuration = home / "conf" / "newer.properties"
    told = (home / "conf" / "server.properties").read_text()
    configuration.write_text(f"{told}\nunstable.feature.versions.enable=true\n")
    java, *flags = broker.command().argv
    command = [
        java,
        *flags[: flags.index("kafka.Kafka")],
        "kafka.tools.StorageTool",
        "format",
        "-t",
        "AAAAAAAAAAAAAAAAAAAAAA",
    ]
    subprocess.run(
        [*command, "-c", str(configuration), "--release-version", NEWER_KAFKA], check=True, capture_output=True
    )

    with pytest.raises(DataOfNewerKafka, match=r"newer Kafka than .*featureLevel=\d+.*`payriver up --home FOLDER`"):
        Stack(home, servers=("kafka",), components=()).start()
    assert look(home).state == "failed" and "newer Kafka" in look(home).error


def test_a_home_that_the_databases_user_cannot_reach_is_refused_with_the_remedy(folder: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root runs PostgreSQL as another user")
    (folder / "closed").mkdir(mode=0o700)
    with pytest.raises(Misconfigured, match="choose a folder that every user may pass"):
        Stack(folder / "closed" / "home", servers=("write",), components=()).start()


# --- helpers -----------------------------------------------------------------------------------------------------------


def spawn_starter(**environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", STARTER],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def interrupted(starter: subprocess.Popen[str]) -> int:
    """Ctrl-C until it has ended: Python itself loses one that comes in the midst of an import. Gives the exit code."""
    for _ in range(30):
        starter.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return starter.wait(2)
    raise AssertionError("it does not end")


def start_elsewhere() -> tuple[subprocess.Popen[str], Path, list[int]]:
    """A stack in another process: that process, its home, and the ids of PostgreSQL, Kafka and node."""
    starter = spawn_starter()
    assert starter.stdout is not None
    home, *pids = starter.stdout.readline().split()
    return starter, Path(home), [int(pid) for pid in pids]


def eventually(true: Callable[[], bool], seconds: float = 15) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if true():
                return True
        except (httpx.HTTPError, OSError):
            pass
        time.sleep(0.1)
    return False


def _alive(folder: Path) -> list[psutil.Process]:
    """Every process that names the folder in its arguments, but not its supervisor."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        named = any(str(folder) in part for part in process.info["cmdline"] or [])
        if named and process.info["status"] != psutil.STATUS_ZOMBIE and "watchdog" not in str(process.info["cmdline"]):
            found.append(process)
    return found


def _sockets(pid: int | None) -> list[psutil._ntuples.pconn]:
    return psutil.Process(pid).net_connections(kind="tcp")


def _checkpoints(stack: Stack) -> set[tuple[str, str, str, int, str, str, int]]:
    rows: set[tuple[str, str, str, int, str, str, int]] = set()
    for server in ("write", "read"):
        with stack.postgres(server).superuser() as cursor:
            cursor.execute("SELECT consumer, topic, partition, cluster, topic_id, next_offset FROM checkpoints")
            rows |= {(server, *row) for row in cursor.fetchall()}
    return rows


def _rpc(stack: Stack, method: str, *params: str) -> str:
    question = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    return str(httpx.post(stack.url("node"), json=question, trust_env=False).json()["result"])
