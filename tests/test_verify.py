"""The killable worker: hostile answers; killed, silent, idle and orphaned workers; forks; no process left."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from probe.data import Outcome
from probe.errors import ProbeError
from probe.tasks import verify
from probe.tasks.grading import Grader

RIGHT = Outcome.right


@pytest.mark.parametrize(
    "text", [r"\boxed{9^{9^{9^9}}}", r"\boxed{10000000!}", r"\boxed{" + "(" * 60 + "1" + ")" * 60 + "}"]
)
def test_hostile_answers_end_as_timeout_and_the_next_one_is_graded(text: str) -> None:
    with Grader(timeout=0.2) as grader:
        assert grader.grade(text, "x+1").outcome == Outcome.timeout
        assert not grader._verifier.child.running
        assert grader.grade(text, "x+1").outcome == Outcome.timeout  # from the cache: no second wait
        assert not grader._verifier.child.running


def test_a_killed_worker_is_replaced_and_none_is_left_behind() -> None:
    with Grader(timeout=0.5) as grader:
        assert grader.compare("9^{9^{9^9}}", "x+1") == Outcome.timeout
        assert grader.compare("1+x", "x+1") == RIGHT
        child = grader._verifier.child._process
        assert child is not None
        assert grader._verifier.child.running
    assert child.returncode is not None  # reaped, so no zombie either
    assert not grader._verifier.child.running
    grader.close()  # closing twice is nothing


def test_a_silent_worker_is_given_up_and_its_question_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "WALL_FACTOR", 3.0)
    with Grader(timeout=1.0) as grader:
        child = grader._verifier.child.start()
        assert child is not None
        os.kill(child.pid, signal.SIGSTOP)  # it uses no processor time, so only the wall clock can end this
        assert grader.compare("1+x", "x+1") == RIGHT
        assert child.returncode is not None
        assert grader._verifier.child._process is not child


def test_a_worker_that_is_killed_at_work_loses_no_grade() -> None:
    with Grader(timeout=30) as grader:
        child = grader._verifier.child.start()
        assert child is not None
        os.kill(child.pid, signal.SIGSTOP)  # so that it is at work when it dies
        killer = threading.Timer(0.2, os.kill, (child.pid, signal.SIGKILL))
        killer.start()
        assert grader.compare("1+x", "x+1") == RIGHT
        killer.join()
        assert child.returncode == -signal.SIGKILL


def test_a_response_on_which_every_worker_is_killed_is_an_error_that_names_it() -> None:
    """As the kernel does where memory runs out: the answer is not graded wrong, and not graded `timeout`."""
    hostile, stop, killed = "9^{9^{9^9}}", threading.Event(), []
    with Grader(timeout=60) as grader:

        def kill_all() -> None:
            while not stop.wait(0.05):
                child = grader._verifier.child._process
                if child is not None and child.pid not in killed:
                    os.kill(child.pid, signal.SIGKILL)
                    killed.append(child.pid)

        assert grader.compare("1+x", "x+1") == RIGHT
        killer = threading.Thread(target=kill_all)
        killer.start()
        with pytest.raises(ProbeError, match=r"signal 9.*9\^\{9") as caught:
            grader.compare(hostile, "x+1")
        stop.set()
        killer.join()
        assert "memory" in str(caught.value)
        assert len(killed) == verify.ATTEMPTS
        assert grader.compare("2+x", "x+2") == RIGHT


def test_a_worker_that_crashes_on_an_answer_cannot_read_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crashing = tmp_path / "worker.py"
    crashing.write_text(
        "import os, sys\nprint('{}', flush=True)\nsys.stdin.readline()\nos.kill(os.getpid(), 11)\n", encoding="utf-8"
    )
    monkeypatch.setattr(verify, "WORKER", crashing)
    with Grader() as grader:
        assert grader.compare("1+x", "x+1") == Outcome.unparsed


def test_a_formula_that_is_too_long_is_never_handed_over() -> None:
    verifier = verify.Verifier()
    assert verifier.ask("x+" * verify.MAX_CHARS, "x") == Outcome.unparsed
    assert verifier.ask("x", "x+" * verify.MAX_CHARS) == Outcome.gold_unparsed
    assert not verifier.child.running


def test_a_worker_that_died_while_idle_is_replaced() -> None:
    grader = Grader()
    assert grader.compare("2+x", "x+2") == RIGHT
    child = grader._verifier.child._process
    assert child is not None
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert grader.compare("3+x", "x+3") == RIGHT
    grader.close()


def test_the_worker_survives_no_parent() -> None:
    """A study that is killed while the worker is busy leaves nothing running: the limit is the worker's own."""
    if not Path("/proc/self/stat").exists():
        pytest.skip("looks into /proc")
    script = (
        "from probe.tasks.verify import Verifier\n"
        "v = Verifier(timeout=0.5)\n"
        "v.ask('1+x', 'x+1')\n"
        "print(v.child._process.pid, flush=True)\n"
        "v.ask('9^{9^{9^9}}', 'x')\n"
    )
    root = Path(verify.__file__).parents[2]
    parent = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(root)}, text=True
    )
    with parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + 60
    while _alive(worker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _alive(worker)


def test_a_forked_process_starts_its_own_worker() -> None:
    """A process pool forks a grader whose worker runs: two readers on one pipe would swap each other's verdicts."""
    script = (
        "import os\n"
        "from probe.tasks.verify import Verifier\n"
        "v = Verifier()\n"
        "assert v.ask('1+x', 'x+1') == 'right'\n"
        "mine = v.child._process.pid\n"
        "if (child := os.fork()) == 0:\n"
        "    same = v.ask('2+x', 'x+2') == 'right' and v.child._process.pid != mine\n"
        "    v.close()\n"
        "    os._exit(0 if same else 1)\n"
        "assert os.waitpid(child, 0)[1] == 0\n"
        "assert v.ask('3+x', 'x+4') == 'wrong' and v.child._process.pid == mine\n"
    )
    root = Path(verify.__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_worker_that_cannot_start_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "worker.py"
    broken.write_text("raise SystemExit(1)\n")
    monkeypatch.setattr(verify, "WORKER", broken)
    with Grader() as grader, pytest.raises(ProbeError, match="math_verify"):
        grader.compare("1+x", "x+1")
