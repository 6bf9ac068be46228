"""What tests share: the real data, and copies of the project to run Snakemake in."""

from __future__ import annotations

import atexit
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import preloaded
import pytest

# Workers run side by side, on as many cores: threads of PyTorch and of OpenBLAS would wait for each
# other. Jobs say themselves how many they take.
if "PYTEST_XDIST_WORKER" in os.environ:
    for library in ("OMP", "OPENBLAS"):
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")

ROOT = Path(__file__).parents[1]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
WITH_SMOKE = ("test_smoke.py", "test_report_run.py", "test_targets.py")
PARTS = ("Snakefile", "workflow", "config", "scripts", "envs")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log):
    """Give whole modules to a worker, and to one all that look at the smoke run, made once."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            module = super()._split_scope(nodeid)
            return "smoke" if Path(module).name in WITH_SMOKE else module

    return Scheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest modules first, so that the workers of pytest-xdist end together."""
    order = ("integration", "cluster", "unit")
    items.sort(key=lambda i: (i.path.name not in WITH_SMOKE, order.index(i.path.parent.name)))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the folder of real data, or skip."""
    path = os.environ.get("TASKRSA_DATA")
    if not path:
        pytest.skip("TASKRSA_DATA is not set: no real data to test with")
    return Path(path)


class Preloaded:
    """A server of programs whose libraries are imported once (preloaded.py)."""

    def __init__(self) -> None:
        self.folder = tempfile.mkdtemp(prefix="taskrsa")
        python = Path(self.folder, "python")
        # Without the site's packages, which take longer to find than the rest to run.
        code = (ROOT / "tests/preloaded.py").read_text(encoding="utf-8")
        python.write_text(f"#!{sys.executable} -IS\n{code}", encoding="utf-8")
        python.chmod(0o755)
        command = [sys.executable, str(python), "--serve"]
        # Every program compiles the library again unless its bytecode is kept.
        kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        self.server = subprocess.Popen(command, stdin=subprocess.DEVNULL, env=kept)
        atexit.register(self.end)
        while not Path(self.folder, preloaded.SOCKET).exists():
            assert self.server.poll() is None, "the server of preloaded programs did not start"
            time.sleep(0.05)

    def end(self) -> None:
        self.server.kill()
        self.server.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, words: list[str], cwd: Path, environment: dict[str, str]) -> tuple[int, str]:
        """Run a program; return its exit status and what it printed."""
        with tempfile.TemporaryFile() as printed, open(os.devnull) as nothing:
            streams = [nothing.fileno(), printed.fileno(), printed.fileno()]
            status = preloaded.ask(self.folder, words, str(cwd), environment, streams)
            printed.seek(0)
            return status, printed.read().decode(errors="replace")


@cache
def shared_server() -> Preloaded:
    return Preloaded()


@dataclass
class Project:
    """A copy of the project in which tests may run, edit and break things."""

    path: Path

    def snakemake(
        self,
        *words: str,
        cores: int = 2,
        data: Path | None = None,
        ok: bool = True,
        server: Preloaded | None = None,
    ) -> str:
        """Run Snakemake and return what it printed; fail the test if it fails and `ok`.

        Snakemake and its jobs are forks of a server's process, by default of one for all tests.
        """
        environment = {k: v for k, v in os.environ.items() if k != "TASKRSA_DATA"}
        if data is not None:
            environment["TASKRSA_DATA"] = str(data)
        command = ["-m", "snakemake", "--cores", str(cores), *words]
        status, printed = (server or shared_server()).run(command, self.path, environment)
        assert (status == 0) == ok, printed[-6000:]
        return printed

    def planned(self, *words: str) -> set[str]:
        """Return the rules that a dry run would execute."""
        printed = self.snakemake("--dry-run", "--quiet", "host", *words)
        table = printed.partition("Job stats:")[2].partition("\ntotal")[0]
        counts = re.findall(r"^(\w+) +\d+$", table, flags=re.MULTILINE)
        return set(counts) - {"all"}


def copy_project(target: Path) -> Project:
    target.mkdir(parents=True)
    for part in PARTS:
        source = ROOT / part
        if source.is_symlink():
            (target / part).symlink_to(source.readlink())
        elif source.is_dir():
            shutil.copytree(source, target / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, target / part)
    return Project(target)


@pytest.fixture
def project(tmp_path) -> Project:
    """Return a fresh copy of the project, nothing run in it."""
    return copy_project(tmp_path / "project")


@pytest.fixture(scope="session")
def smoke(tmp_path_factory) -> Project:
    """Return a copy of the project in which the smoke configuration has run."""
    project = copy_project(tmp_path_factory.mktemp("smoke") / "project")
    project.snakemake("--configfile", "config/smoke.yaml")
    return project


@pytest.fixture(scope="session")
def browser() -> Iterator:
    """Start headless Chromium, or skip: TASKRSA_CHROMIUM or one on the path."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    place = os.environ.get("TASKRSA_CHROMIUM") or next(
        filter(None, map(shutil.which, BROWSERS)), None
    )
    if place is None:
        pytest.skip("no Chromium on the path; install it, or set TASKRSA_CHROMIUM")
    with api.sync_playwright() as player:
        # Root, as in containers, cannot have Chromium's sandbox.
        flags = ["--no-sandbox"] if os.geteuid() == 0 else []
        started = player.chromium.launch(executable_path=place, args=flags)
        yield started
        started.close()
