"""Published data arrive whole and checked, or not at all: against a server of our own, and against the manifest.

Every failure leaves the store as it was, and says what, where and what to do.
"""

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from requests.exceptions import RequestException
from typer.testing import CliRunner

from probe.cli import app
from probe.cli.compare_rollouts import meant
from probe.errors import BadInput, ProbeError
from probe.experiments.published_outputs.job import published_job
from probe.models.loading.manifest import load_manifest
from probe.store import Store
from probe.tasks.published_data import DatasetEntry, bring, held_at, lacking

ROOT = Path(__file__).parents[1]
PAYLOAD = {"one.jsonl": b'{"a": 1}\n' * 40_000, "two.json": b"{}"}
COMMIT = "0123456789abcdef"
BELOW = f"/owner/repo/{COMMIT}/deep"
SERVED = {f"{BELOW}/one.jsonl": PAYLOAD["one.jsonl"], f"{BELOW}/renamed.json": PAYLOAD["two.json"]}
MANIFEST = f"""\
version: 1
templates: {{}}
datasets:
  pair:
    about: two files
    repository: owner/repo
    commit: {COMMIT}
    licence: MIT
    files:
      one.jsonl: {{path: deep/one.jsonl, bytes: 360000, sha256: {hashlib.sha256(PAYLOAD["one.jsonl"]).hexdigest()}}}
      two.json: {{path: deep/renamed.json, sha256: {hashlib.sha256(PAYLOAD["two.json"]).hexdigest()}}}
"""


class Mirror:
    """A web server: `files` by path, `asked` what it was asked for; it cuts or stalls on the paths it is told to."""

    def __init__(self) -> None:
        self.files = dict(SERVED)
        self.asked: list[str] = []
        self.cut: set[str] = set()
        self.stall: set[str] = set()
        self.over = threading.Event()
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                mirror.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})

    def mend(self) -> None:
        """Serve everything as published, whole."""
        self.files, self.cut = dict(SERVED), set()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        self.asked.append(request.path)
        data = self.files.get(request.path)
        if data is None:
            return request.send_error(404)
        request.send_response(200)
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        part = request.path in self.cut | self.stall
        request.wfile.write(data[: len(data) // 2] if part else data)
        if request.path in self.stall:
            self.over.wait(20)


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    found = Mirror()
    found.thread.start()
    yield found
    found.over.set()
    found.server.shutdown()
    found.thread.join()
    found.server.server_close()


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("PROBE_REAL_DATA", "PROBE_STORE", "PROBE_DATA_URL", "HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    Path("m.yaml").write_text(MANIFEST)


def probe(*words: object, code: int = 0) -> Any:
    """One command, which must exit with `code`."""
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == code, (result.exit_code, result.output, result.exception)
    return result


def fetch(*words: object, code: int = 0) -> Any:
    return probe("fetch", "pair", "--manifest", "m.yaml", *words, code=code)


def entry() -> DatasetEntry:
    return load_manifest("m.yaml").dataset("pair")


def files(folder: Path | str = ".probe") -> dict[str, bytes]:
    """Everything below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


WHOLE = {f"published/pair/{name}": data for name, data in PAYLOAD.items()}


def test_a_set_is_brought_whole_and_only_once(mirror: Mirror) -> None:
    done = fetch("--url", mirror.url + "/")
    assert "fetched 2 of 2 files" in done.stdout and "owner/repo @ 0123456, MIT" in done.stdout
    assert files() == WHOLE
    assert mirror.asked == [f"{BELOW}/one.jsonl", f"{BELOW}/renamed.json"]
    assert {path.stat().st_mode & 0o777 for path in Path(".probe/published/pair").iterdir()} == {0o644}
    told = json.loads(fetch("--url", "http://127.0.0.1:1", "--json").stdout)  # nobody is there, and nobody is asked
    assert told == {
        "name": "pair",
        "folder": str(Path(".probe/published/pair").resolve()),
        "fetched": [],
        "repository": "owner/repo",
        "commit": COMMIT,
        "licence": "MIT",
    }
    assert "it was there" in fetch().stdout and len(mirror.asked) == 2


def test_a_mirror_is_named_by_the_environment_or_by_an_option_which_comes_first(
    mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror.files |= {f"/deeper{path}": data for path, data in mirror.files.items()}
    monkeypatch.setenv("PROBE_DATA_URL", f"{mirror.url}/deeper")
    fetch()
    assert files() == WHOLE and all(path.startswith("/deeper/owner") for path in mirror.asked)
    fetch("--url", mirror.url, "--store", "other")
    assert files("other") == WHOLE and mirror.asked[2:] == [f"{BELOW}/one.jsonl", f"{BELOW}/renamed.json"]


def test_only_what_is_lacking_or_damaged_is_fetched_again(mirror: Mirror) -> None:
    fetch("--url", mirror.url)
    place = Path(".probe/published/pair")
    (place / "two.json").write_bytes(b"[]")
    (place / "notes.txt").write_text("mine")
    assert lacking(entry(), place) == ["two.json"]
    assert "fetched 1 of 2 files" in fetch("--url", mirror.url).stdout
    assert files() == WHOLE | {"published/pair/notes.txt": b"mine"}
    assert mirror.asked[2:] == [f"{BELOW}/renamed.json"]


def refuse(mirror: Mirror) -> str:
    """A port at which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def change(mirror: Mirror) -> str:
    mirror.files[f"{BELOW}/renamed.json"] = b"<html>log in first</html>"
    return mirror.url


def cut(mirror: Mirror) -> str:
    mirror.cut.add(f"{BELOW}/one.jsonl")
    return mirror.url


def lose(mirror: Mirror) -> str:
    del mirror.files[f"{BELOW}/renamed.json"]
    return mirror.url


FAILURES = {
    "no network": (refuse, "cannot reach 127.0.0.1:", "--url BASE or $PROBE_DATA_URL"),
    "another file": (change, "two.json is not what was published: its sha256 differs", "fetch again"),
    "a cut answer": (cut, "broke off", "run the same command again"),
    "no such file": (lose, "does not give the file: 404 Not Found", "$PROBE_REAL_DATA"),
}


@pytest.mark.parametrize("damaged", [False, True])
@pytest.mark.parametrize("kind", FAILURES)
def test_a_failure_is_named_and_leaves_everything_as_it_was(mirror: Mirror, kind: str, damaged: bool) -> None:
    make, what, do = FAILURES[kind]
    if damaged:
        fetch("--url", mirror.url)
        for file in Path(".probe/published/pair").iterdir():
            file.write_bytes(b"an older edition")
    before = files() if damaged else {}
    done = fetch("--url", make(mirror), code=1)
    lines = [line.partition(": ") for line in done.stderr.splitlines()]
    assert [name for name, _, _ in lines] == ["error", "where", "do"]
    assert what in lines[0][2] and f"{BELOW}/" in lines[1][2] and do in lines[2][2]
    assert done.stdout == "" and files() == before
    assert Path(".probe/published/pair").exists() is damaged
    mirror.mend()
    fetch("--url", mirror.url)
    assert files() == WHOLE


def test_what_is_no_part_of_a_set_is_said_and_left(mirror: Mirror) -> None:
    fetch("--url", mirror.url)
    stranger = Path(".probe/published/pair/zz.bin")
    stranger.write_bytes(b"x")
    assert "zz.bin is no part of the set" in fetch("--url", mirror.url).stderr
    assert "zz.bin is no part of pair" in probe("check", "--manifest", "m.yaml").stdout.replace("\n", " ")
    assert stranger.read_bytes() == b"x"


def test_a_refusal_leaves_no_socket_open(mirror: Mirror, tmp_path: Path) -> None:
    with pytest.raises(ProbeError) as caught:
        bring("pair", entry(), tmp_path, base=lose(mirror))
    refusal = caught.value.__cause__
    assert isinstance(refusal, RequestException) and refusal.response is not None and refusal.response.raw.closed


@pytest.mark.parametrize(
    ("words", "what", "do"),
    [
        (("pear",), "no data set 'pear'", "did you mean 'pair'? known: pair"),
        (("pair", "--url", "ftp://there"), "'ftp://there' is no web address", "https://raw.githubusercontent.com"),
        (("pair", "--url", "http://[x"), "'http://[x' is no web address", "give a base"),
        (("pair", "--url", "http://a:b"), "is no web address", "give a base"),
        (("pair", "--url", ""), "'' is no web address", "give a base"),
        (("pair", "--url", "http://a/b?c=d"), "is no web address", "give a base"),
    ],
)
def test_bad_input_is_named(words: tuple[str, ...], what: str, do: str) -> None:
    done = probe("fetch", *words, "--manifest", "m.yaml", code=2)
    assert what in done.stderr and do in done.stderr and done.stdout == ""
    assert not files(".").keys() - {"m.yaml"}


def test_a_bad_address_in_the_environment_is_blamed_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROBE_DATA_URL", "mirror")
    with pytest.raises(BadInput, match="'mirror' is no web address") as caught:
        bring("pair", entry(), Path("s"))
    assert caught.value.where == "PROBE_DATA_URL"


def test_ending_in_the_middle_leaves_nothing(mirror: Mirror) -> None:
    class Impatient:
        total = 0

        def update(self, _: int) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bring("pair", entry(), Path("s"), base=mirror.url, bar=lambda name: Impatient())
    assert files("s") == {}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_process_that_is_ended_leaves_no_part_of_a_set(mirror: Mirror, number: signal.Signals) -> None:
    mirror.stall.add(f"{BELOW}/renamed.json")
    listen = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    command = [sys.executable, "-c", f"{listen}; from probe.cli import main; main()"]
    words = [*command, "fetch", "pair", "--manifest", "m.yaml", "--url", mirror.url, "--store", "s"]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(ROOT)})
    try:
        deadline = time.monotonic() + 60
        while len(mirror.asked) < 2 and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(number)
        process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    assert len(mirror.asked) == 2 and process.returncode != 0
    left = {path.split("/")[1] for path in files("s") if path.startswith("published/")}
    assert left == ({".pair.tmp"} if number == signal.SIGKILL else set())
    mirror.over.set()
    mirror.stall.clear()
    bring("pair", entry(), Path("s"), base=mirror.url)
    assert {path: data for path, data in files("s").items() if path.startswith("published/")} == WHOLE


def test_two_at_once_fetch_it_once(mirror: Mirror) -> None:
    root, found = Path("s").resolve(), []
    threads = [
        threading.Thread(target=lambda: found.append(bring("pair", entry(), root, base=mirror.url).files))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(len, found)) == [0, 2] and len(mirror.asked) == 2
    assert files("s") == WHOLE


def test_without_a_sha256_nothing_is_verified_and_that_is_said(mirror: Mirror) -> None:
    digest = hashlib.sha256(PAYLOAD["two.json"]).hexdigest()
    Path("m.yaml").write_text(MANIFEST.replace(f", sha256: {digest}", ""))
    mirror.files[f"{BELOW}/renamed.json"] = b"anything"
    done = fetch("--url", mirror.url)
    assert "pair: not verified, for want of a sha256: two.json" in done.stderr
    assert files()["published/pair/two.json"] == b"anything"
    assert load_manifest("m.yaml").warnings() == ["pair: not verified, for want of a sha256: two.json"]
    assert "two files (not verified)" in probe("ls", "datasets", "--manifest", "m.yaml").stdout


def test_ls_check_and_gc_know_what_was_fetched(mirror: Mirror) -> None:
    where = ("--manifest", "m.yaml", "--json")
    (row,) = json.loads(probe("ls", "datasets", *where).stdout)["datasets"]
    assert (row["from"], row["licence"], row["MB"], row["fetched"]) == ("owner/repo @ 0123456", "MIT", 0.4, "")
    assert not any(each["about"] == "published" for each in json.loads(probe("check", *where).stdout))
    fetch("--url", mirror.url)
    (row,) = json.loads(probe("ls", "datasets", *where).stdout)["datasets"]
    assert row["fetched"] == "yes"
    assert {"state": "ok", "about": "published", "what": "pair is whole"} in json.loads(probe("check", *where).stdout)
    assert Store().gc(set(), delete=True) == [] and Store().artifacts() == []
    assert files() == WHOLE
    Path(".probe/published/pair/one.jsonl").unlink()
    told = probe("check", "--manifest", "m.yaml", code=1).stdout
    assert "pair lacks, or has damaged: one.jsonl" in " ".join(told.split()) and "probe fetch pair" in told


def test_a_folder_of_ones_own_comes_first(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path("s").resolve()
    assert held_at("pair", root) is None
    folder = bring("pair", entry(), root, base=mirror.url).folder
    Path("own/other").mkdir(parents=True)
    monkeypatch.setenv("PROBE_REAL_DATA", "own")
    assert held_at("pair", root) == folder and held_at("other", root) == Path("own/other")
    Path("own/pair").mkdir()
    assert held_at("pair", root) == Path("own/pair")


def served(mirror: Mirror, name: str, folder: Path) -> None:
    """The files of a set of the project's manifest, at their addresses."""
    each = load_manifest(ROOT / "checkpoints_manifest.yaml").dataset(name)
    for file, known in each.files.items():
        path = f"/{each.repository}/{each.commit}/{known.path}"
        mirror.files[path] = (folder / name / file).read_bytes()


def test_the_manifest_describes_the_files_that_were_published(mirror: Mirror, real_data: Path) -> None:
    for name, each in load_manifest(ROOT / "checkpoints_manifest.yaml").datasets.items():
        served(mirror, name, real_data)
        sizes = {file: (real_data / name / file).stat().st_size for file in each.files}
        assert sizes == {file: known.bytes for file, known in each.files.items()}
        assert not each.warnings
        probe("fetch", name, "--url", mirror.url)
        assert lacking(each, Path(".probe/published") / name) == []
    found = {path.name for path in Path(".probe/published").iterdir()}
    assert found == {"rlcr_math500", "math500", "gsm8k_graded", "tora_gsm8k", "qwen_tokenizer", "olmo2_tokenizer"}


def test_the_first_lines_of_the_readme(mirror: Mirror, real_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fetch, then compare by name; a study that lacks the outputs says so in one line, and has them afterwards."""
    served(mirror, "rlcr_math500", real_data)
    monkeypatch.setenv("PROBE_DATA_URL", mirror.url)
    told = probe("compare-rollouts", "rlcr_math500", "--store", "s", code=2).stderr
    assert "rlcr_math500 is not here yet" in told and "probe fetch rlcr_math500" in told
    (line,) = probe("run", "all", "--dry", "--json", "--store", "s").stderr.splitlines()
    assert line.startswith("the study real is left out: rlcr_math500 is not here") and line.endswith(
        "probe fetch rlcr_math500 --store s"
    )
    probe("fetch", "rlcr_math500", "--store", "s")
    assert "left out" not in probe("run", "all", "--dry", "--json", "--store", "s").stderr
    plan = json.loads(probe("run", "real", "--dry", "--json", "--store", "s").stdout)
    assert [job["stage"] for job in plan["jobs"]] == ["imported", "measurements"]
    folder = Path("s/published/rlcr_math500").resolve()
    assert meant(Path("rlcr_math500"), Path("s").resolve()) == folder and meant(folder, Path()) == folder
    source = published_job([folder]).source
    assert source.recipe.digest == published_job([real_data / "rlcr_math500"]).source.recipe.digest  # wherever they lie


def test_errors_are_of_the_kind_that_the_command_line_knows(mirror: Mirror) -> None:
    with pytest.raises(ProbeError) as caught:
        bring("pair", entry(), Path("s"), base=refuse(mirror))
    assert caught.value.exit_code == 1 and caught.value.where.startswith("http://127.0.0.1")
