"""A browser without a window, driven over two pipes: DevTools' protocol, JSON between zero bytes, nothing to install.

with Browser.found() as browser:             skips, with the reason, where there is no Chromium
    page = browser.open(path, dark=True)
    page.says("document.title")              what an expression comes to
    page.press("n")                          a key
    page.shot(file)                          a PNG
"""

import base64
import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SECONDS = 20.0
KEYS = {"ArrowRight": 39, "ArrowLeft": 37, "ArrowDown": 40, "ArrowUp": 38, "Home": 36, "End": 35, "Tab": 9, "Enter": 13}


def _pipe() -> tuple[int, int]:
    """A pipe whose ends are none of 3 and 4, which the shell is about to set."""
    low = os.pipe()
    high = tuple(fcntl.fcntl(each, fcntl.F_DUPFD_CLOEXEC, 10) for each in low)
    for each in low:
        os.close(each)
    return high[0], high[1]


class Page:
    """One tab."""

    def __init__(self, browser: "Browser", session: str) -> None:
        self.browser, self.session = browser, session

    def ask(self, method: str, **about: Any) -> dict[str, Any]:
        return self.browser.ask(method, self.session, **about)

    def says(self, expression: str) -> Any:
        """What the expression comes to; an error within the page is an error here."""
        found = self.ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def until(self, expression: str) -> Any:
        """The same, as soon as it is true."""
        end = time.monotonic() + SECONDS
        while not (found := self.says(expression)):
            assert time.monotonic() < end, f"never true: {expression}; {self.browser.complaints()}"
            time.sleep(0.05)
        return found

    def press(self, key: str) -> None:
        text = key if len(key) == 1 else ""
        code = KEYS.get(key, ord(key.upper()) if text else 0)
        about: dict[str, Any] = {"key": key, "windowsVirtualKeyCode": code}
        self.ask("Input.dispatchKeyEvent", type="keyDown", **about, **({"text": text} if text else {}))
        self.ask("Input.dispatchKeyEvent", type="keyUp", **about)

    def shot(self, file: Path, whole: bool = False) -> None:
        data = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        file.write_bytes(base64.b64decode(data))


class Browser:
    """The process, what was said on its pipes, and what its pages logged."""

    def __init__(self, program: str, profile: str) -> None:
        read_ours, write_its = _pipe()
        read_its, write_ours = _pipe()
        # the protocol's pipes are file descriptors 3 and 4 of the browser
        words = [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe"]
        words += [f"--user-data-dir={profile}", "--no-first-run", "--disable-dev-shm-usage", "about:blank"]
        shell = ["bash", "-c", f'exec "$@" 3<&{read_its} 4>&{write_its}', "bash", *words]
        self.process = subprocess.Popen(
            shell, pass_fds=(read_its, write_its), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        os.close(read_its)
        os.close(write_its)
        self.reads, self.writes = os.fdopen(read_ours, "rb", buffering=0), os.fdopen(write_ours, "wb", buffering=0)
        self.rest, self.number, self.events = b"", 0, list[dict[str, Any]]()

    @classmethod
    @contextlib.contextmanager
    def found(cls) -> Iterator["Browser"]:
        program = next(filter(None, map(shutil.which, NAMES)), None)
        if program is None:
            pytest.skip(f"no browser on the PATH: install one of {', '.join(NAMES)}")
        with tempfile.TemporaryDirectory() as profile:
            browser = cls(program, profile)
            try:
                yield browser
            finally:
                with contextlib.suppress(OSError, AssertionError):
                    browser.ask("Browser.close")
                browser.reads.close()
                browser.writes.close()
                browser.process.wait(SECONDS)

    def ask(self, method: str, session: str | None = None, **about: Any) -> dict[str, Any]:
        """One command and its answer; what else is told meanwhile is kept in `events`."""
        self.number += 1
        said = {"id": self.number, "method": method, "params": about} | ({"sessionId": session} if session else {})
        self.writes.write(json.dumps(said).encode() + b"\0")
        while True:
            told = self._next()
            if told.get("id") == self.number:
                assert "error" not in told, told
                return dict(told["result"])
            self.events.append(told)

    def open(self, path: Path, fragment: str = "", *, dark: bool = False, size: tuple[int, int] = (1280, 900)) -> Page:
        """The file in a new tab, once it says that it is ready."""
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        page = Page(self, self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"])
        for domain in ("Page", "Runtime", "Log", "Network"):
            page.ask(f"{domain}.enable")
        page.ask("Emulation.setDeviceMetricsOverride", width=size[0], height=size[1], deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        still = {"name": "prefers-reduced-motion", "value": "reduce"}
        page.ask("Emulation.setEmulatedMedia", features=[scheme, still])
        page.ask("Page.navigate", url=path.resolve().as_uri() + fragment)
        page.until("document.readyState === 'complete' && document.documentElement.dataset.ready === 'yes'")
        return page

    def complaints(self) -> list[str]:
        """Errors that pages threw or logged, what a policy refused among them."""
        kinds = ("Runtime.exceptionThrown", "Log.entryAdded")
        return [json.dumps(each["params"]) for each in self.events if each.get("method") in kinds]

    def requests(self) -> list[str]:
        """Every address that was asked for."""
        sent = [each["params"] for each in self.events if each.get("method") == "Network.requestWillBeSent"]
        return [each["request"]["url"] for each in sent]

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self.rest:
            more = self.reads.read(1 << 16)
            assert more, "the browser is gone"
            self.rest += more
        told, _, self.rest = self.rest.partition(b"\0")
        return dict(json.loads(told))
