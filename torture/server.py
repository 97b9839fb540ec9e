"""A web server of published data, in a process of its own: fetches are killed against it."""

import hashlib
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import sleep

COMMIT = "0123456789abcdef"
FILES = {"one.jsonl": b'{"a": 1}\n' * 300_000, "two.json": b"[]" * 100_000, "three.txt": bytes(900_000)}
CHUNK, PAUSE = 1 << 16, 0.003  # bytes and seconds between them: slow enough to be killed on the way
MANIFEST = f"""\
version: 1
templates: {{}}
datasets:
  pair:
    about: files
    repository: owner/repo
    commit: {COMMIT}
    licence: MIT
    files:
"""


def manifest() -> str:
    """A manifest that names the files."""
    lines = (
        f"      {name}: {{path: {name}, bytes: {len(data)}, sha256: {hashlib.sha256(data).hexdigest()}}}\n"
        for name, data in FILES.items()
    )
    return MANIFEST + "".join(lines)


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        data = FILES.get(self.path.rpartition("/")[2])
        if data is None:
            return self.send_error(404)
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        for at in range(0, len(data), CHUNK):
            try:
                self.wfile.write(data[at : at + CHUNK])
            except OSError:  # whoever asked was killed
                return
            sleep(PAUSE)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(root: Path) -> Iterator[None]:
    """Serve; the address stands in `root`/server/url, the manifest in `root`/pair.yaml."""
    (root / "server").mkdir(parents=True)
    (root / "pair.yaml").write_text(manifest())
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    (root / "server" / "url").write_text(f"http://127.0.0.1:{server.server_port}")
    pid = os.fork()
    if pid == 0:
        try:
            server.serve_forever()
        finally:
            os._exit(0)
    server.server_close()
    try:
        yield
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
