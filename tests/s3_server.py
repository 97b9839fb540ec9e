"""An S3-compatible server on this machine (moto), in a process of its own, and the environment of its clients."""

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator

from s3fs import S3FileSystem

ENVIRONMENT = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1"}


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextlib.contextmanager
def s3_server() -> Iterator[str]:
    """Its address. Its environment is set here, and undone at the end."""
    port = free_port()
    command = [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    address = f"http://127.0.0.1:{port}"
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    before = {name: os.environ.get(name) for name in (*ENVIRONMENT, "AWS_ENDPOINT_URL")}
    os.environ.update(ENVIRONMENT, AWS_ENDPOINT_URL=address)
    try:
        _wait_for(address, server)
        S3FileSystem.clear_instance_cache()  # one of another server would be taken for this one's
        yield address
    finally:
        server.kill()
        server.wait()
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def make_bucket(address: str, name: str) -> str:
    """A new bucket; its URL."""
    asked = urllib.request.Request(f"{address}/{name}", method="PUT")
    with urllib.request.urlopen(asked, timeout=10) as answer:
        assert answer.status == 200
    return f"s3://{name}/probe"


def _wait_for(address: str, server: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end and server.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/moto-api/", timeout=5):
            return
        time.sleep(0.05)
    raise AssertionError("the server did not start")
