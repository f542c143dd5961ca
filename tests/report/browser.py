"""A small client of headless Chromium: the DevTools protocol over the pipe, with the standard library only."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-pipe",
)
DRAWN = "(data => data?.drawn || data?.errors)(document.documentElement?.dataset)"
"""Whether the script of a search's page has finished or failed."""


def chromium() -> str | None:
    """Return the path of the browser, or None where there is none."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


class Browser:
    """One tab; commands go out on one pipe, answers and events come back on the other, each ended by a zero byte."""

    def __init__(self, commands: int, answers: int) -> None:
        self.commands, self.answers = commands, answers
        self.events: list[dict[str, Any]] = []
        self._buffer = b""
        self._count = 0
        self._session: str | None = None
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send one command and return its result; events that come in between are kept."""
        self._count += 1
        message: dict[str, Any] = {"id": self._count, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        rest = json.dumps(message).encode() + b"\0"
        while rest:
            rest = rest[os.write(self.commands, rest) :]
        while True:
            answer = self._read()
            if answer.get("id") != self._count:
                self.events.append(answer)
            elif "error" in answer:
                raise RuntimeError(f"{method}: {answer['error']}")
            else:
                result: dict[str, Any] = answer["result"]
                return result

    def open(self, page: Path, *, width: int, height: int = 900, until: str = DRAWN) -> None:
        """Load a page at a width, as a phone below 600 pixels, and wait until its script has finished or failed."""
        self.events.clear()
        self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        self.send("Emulation.setTouchEmulationEnabled", enabled=width < 600)
        self.send("Page.navigate", url=page.as_uri())
        self.wait(until)

    def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression; promises are awaited."""
        answer = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def wait(self, expression: str, *, seconds: float = 60) -> None:
        """Wait until a JavaScript expression is true."""
        deadline = time.monotonic() + seconds
        while not self.evaluate(f"Boolean({expression})"):
            if time.monotonic() > deadline:
                raise TimeoutError(f"browser: not true after {seconds} s: {expression}")
            time.sleep(0.05)

    def click(self, selector: str) -> None:
        """Move the mouse to the centre of the first element that matches, and click."""
        x, y = self.hover(selector)
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def hover(self, selector: str) -> tuple[float, float]:
        """Scroll to the first element that matches and move the mouse to its centre."""
        find = f"document.querySelector({json.dumps(selector)})"
        self.evaluate(f"{find}.scrollIntoView({{block: 'center', behavior: 'instant'}})")
        time.sleep(0.2)  # Plotly ignores the mouse for a moment after scrolling
        box = self.evaluate(f"(b => [b.x + b.width / 2, b.y + b.height / 2])({find}.getBoundingClientRect())")
        for shift in (3, 0):
            self.send("Input.dispatchMouseEvent", type="mouseMoved", x=box[0] + shift, y=box[1] + shift)
        return box[0], box[1]

    def screenshot(self) -> bytes:
        """Return the whole page as PNG."""
        shot = self.send("Page.captureScreenshot", captureBeyondViewport=True)
        return base64.b64decode(shot["data"])

    def print(self) -> bytes:
        """Return the printed page as PDF."""
        return base64.b64decode(self.send("Page.printToPDF", preferCSSPageSize=True, printBackground=False)["data"])

    def problems(self) -> list[str]:
        """Return errors that the page has logged since it was opened: exceptions, refused scripts and requests."""
        self.evaluate("0")
        found = [e for e in self.events if e.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded")]
        return [json.dumps(event["params"])[:500] for event in found]

    def requests(self) -> list[str]:
        """Return the addresses requested since the page was opened, but for files and data inside the page."""
        sent = [e["params"]["request"]["url"] for e in self.events if e.get("method") == "Network.requestWillBeSent"]
        return [url for url in sent if not url.startswith(("file:", "data:", "blob:", "about:"))]

    def _read(self, seconds: float = 60) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            if not select.select([self.answers], [], [], seconds)[0]:
                raise TimeoutError(f"browser: no answer for {seconds} s")
            chunk = os.read(self.answers, 1 << 20)
            if not chunk:
                raise RuntimeError("browser: it has ended")
            self._buffer += chunk
        message, _, self._buffer = self._buffer.partition(b"\0")
        answer: dict[str, Any] = json.loads(message)
        return answer


@contextmanager
def running(path: str) -> Iterator[Browser]:
    """Start the browser with a new profile, and end it."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        its_commands, our_commands = _pipe()
        our_answers, its_answers = _pipe()
        silence = os.open(os.devnull, os.O_RDWR)
        process = os.posix_spawn(
            path,
            [path, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, its_commands, 3),
                (os.POSIX_SPAWN_DUP2, its_answers, 4),
                *((os.POSIX_SPAWN_DUP2, silence, stream) for stream in (0, 1, 2)),
            ],
        )
        for end in (its_commands, its_answers, silence):
            os.close(end)
        browser = None
        try:
            browser = Browser(our_commands, our_answers)
            yield browser
        finally:
            _end(browser, process)
            os.close(our_commands)
            os.close(our_answers)


def _end(browser: Browser | None, process: int) -> None:
    """Ask the browser to close, and kill it where it does not."""
    if browser is not None:
        browser._session = None
        with suppress(RuntimeError, OSError):  # it may have gone already
            browser.send("Browser.close")
    for _ in range(100):
        if os.waitpid(process, os.WNOHANG)[0]:
            return
        time.sleep(0.05)
    os.kill(process, 9)
    os.waitpid(process, 0)


def _pipe() -> tuple[int, int]:
    """Return both ends of a pipe, above the numbers 3 and 4 that the browser wants."""
    ends = os.pipe()
    high = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends]
    for end in ends:
        os.close(end)
    return high[0], high[1]
