"""The head node of a Ray cluster of two workers, in processes that are killed at the end; never `ray stop`."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
from s3_server import free_port

OPTIONS = ("--num-cpus=2", "--include-dashboard=false", "--disable-usage-stats", "--block")


@dataclass(frozen=True)
class Head:
    """A running cluster."""

    address: str
    process: "subprocess.Popen[bytes]"

    def kill(self) -> None:
        """End it with all that it started."""
        with contextlib.suppress(psutil.NoSuchProcess):
            for each in (*psutil.Process(self.process.pid).children(recursive=True), self.process):
                with contextlib.suppress(psutil.NoSuchProcess):
                    each.kill()
        self.process.wait()


@contextlib.contextmanager
def ray_head(folder: Path, clients: int | None = None) -> Iterator[Head]:
    """Its token lies in `folder`, not in anyone's home; the environment is this process's. `clients`: its port."""
    clients = clients or free_port()
    port, short = free_port(), tempfile.mkdtemp(prefix="ray")  # names of sockets are short
    command = [sys.executable, "-W", "ignore", "-m", "ray.scripts.scripts", "start", "--head", *OPTIONS]
    with (folder / "head").open("wb") as said:
        process = subprocess.Popen(
            [*command, f"--port={port}", f"--ray-client-server-port={clients}", f"--temp-dir={short}"],
            stdout=said,
            stderr=said,
        )
    head = Head(f"ray://127.0.0.1:{clients}", process)
    try:
        end = time.monotonic() + 120
        while time.monotonic() < end and process.poll() is None:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", clients), 1).close()
                break
            time.sleep(0.1)
        else:
            raise AssertionError((folder / "head").read_text())
        yield head
    finally:
        head.kill()
        shutil.rmtree(short, ignore_errors=True)


def environment(folder: Path) -> dict[str, str]:
    """What its processes, and its clients, are told."""
    (folder / "token").write_text("0" * 64)
    told = {"RAY_AUTH_TOKEN_PATH": str(folder / "token"), "RAY_memory_monitor_refresh_ms": "0"}
    return told | {"RAY_CLIENT_RECONNECT_GRACE_PERIOD": "2", "RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "token"}


@contextlib.contextmanager
def told(environment: dict[str, str]) -> Iterator[None]:
    """Within it these variables are set."""
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
