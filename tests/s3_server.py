"""An S3-compatible server on this machine (moto), in a process of its own, and the environment of its clients.

moto is neither ever full nor read-only: before it stands `Gate`, which refuses to write while it is told to.
"""

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from typing import Any

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
    command = [sys.executable, "-W", "ignore", __file__, str(port)]
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


@contextlib.contextmanager
def refusing(address: str, status: int, code: str, *, after: int = 0) -> Iterator[None]:
    """Within it the server takes `after` more files, and then answers each of them with that error."""
    _told(f"{address}{GATE}{status}/{code}/{after}")
    try:
        yield
    finally:
        _told(f"{address}{GATE}open")


def _told(url: str) -> None:
    with urllib.request.urlopen(url, timeout=10) as answer:
        assert answer.status == 200


GATE = "/-gate/"


class Gate:
    """A WSGI application before another: it lets through all but what it is told to refuse."""

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self.app, self.refused, self.left = app, "", 0

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path.startswith(GATE):
            status, *rest = path.removeprefix(GATE).split("/")
            self.refused, self.left = (f"{status} {rest[0]}", int(rest[1])) if rest else ("", 0)
            start("200 OK", [("Content-Length", "0")])
            return []
        if not self.refused or environ["REQUEST_METHOD"] != "PUT":
            return self.app(environ, start)
        if self.left:
            self.left -= 1
            return self.app(environ, start)
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        code = self.refused.partition(" ")[2]
        body = f"<Error><Code>{code}</Code><Message>nothing is taken</Message></Error>".encode()
        start(self.refused, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
        return [body]


def serve(port: int) -> None:
    """What runs in the process of its own."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
    from werkzeug.serving import run_simple

    app = Gate(DomainDispatcherApplication(create_backend_app))
    run_simple("127.0.0.1", port, app, threaded=True, request_handler=MotoRequestHandler)


def _wait_for(address: str, server: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end and server.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/moto-api/", timeout=5):
            return
        time.sleep(0.05)
    raise AssertionError("the server did not start")


if __name__ == "__main__":
    serve(int(sys.argv[1]))
