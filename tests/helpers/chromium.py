"""Drives a headless Chromium through its debugging pipe: opens pages, runs scripts in them, takes pictures."""

import base64
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--hide-scrollbars", "--remote-debugging-pipe"),
)

KEYS = {"Tab": (9, ""), "Enter": (13, "\r"), "ArrowLeft": (37, ""), "ArrowRight": (39, "")}  # number and text


class Chromium:
    """One browser with one page. Commands are JSON texts that end with a zero byte, on its file descriptors 3 and 4.

    A script runs as in the browser's console: the page's content policy does not hold it back.
    """

    def __init__(self, profile: Path):
        to_read, self._write = os.pipe()
        self._read, to_write = os.pipe()

        def connect() -> None:  # in the child, by way of copies: a pipe's end may itself be number 3 or 4
            for copy, place in ((os.dup(to_read), 3), (os.dup(to_write), 4)):
                os.dup2(copy, place)

        self._process = subprocess.Popen(
            [BROWSER, *_FLAGS, f"--user-data-dir={profile}"],
            preexec_fn=connect,
            close_fds=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_read)
        os.close(to_write)
        self._number, self._session, self._rest = 0, None, b""
        target = self.command("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.command("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.command("Page.enable")

    def command(self, method: str, **parameters) -> dict[str, Any]:
        """Sends a command of the DevTools protocol and returns its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]

    def open(self, path: Path, ready: str = "document.readyState === 'complete'") -> None:
        """Opens a page from disk and waits until an expression is true in it."""
        self.command("Page.navigate", url=Path(path).as_uri())
        self.wait(ready)

    def wait(self, expression: str, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while not self.run(expression):
            if time.monotonic() > end:
                raise TimeoutError(f"{expression} is not true after {seconds} s")
            time.sleep(0.02)

    def run(self, script: str) -> Any:
        """The value of a script, as JSON can hold it; a promise is awaited."""
        answer = self.command("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(json.dumps(answer["exceptionDetails"]))
        return answer["result"].get("value")

    def press(self, key: str) -> None:
        """Presses and releases a key of `KEYS`, wherever the focus is."""
        code, text = KEYS[key]
        name = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        self.command("Input.dispatchKeyEvent", type="keyDown", **name, **({"text": text} if text else {}))
        self.command("Input.dispatchKeyEvent", type="keyUp", **name)

    def window(self, width: int, height: int, *, dark: bool = False) -> None:
        """The size of the window in CSS pixels, and what the reader prefers; a narrow one is a phone's."""
        self.command(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.command("Emulation.setEmulatedMedia", features=[scheme])

    def picture(self, whole: bool = False) -> bytes:
        """PNG of the window, or of the whole page."""
        taken = self.command("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        return base64.b64decode(taken["data"])

    def close(self) -> None:
        for descriptor in (self._write, self._read):
            os.close(descriptor)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _next(self, seconds: float = 120) -> dict[str, Any]:
        """The next message: an answer or an event."""
        while b"\0" not in self._rest:
            if not select.select([self._read], [], [], seconds)[0]:
                raise TimeoutError(f"the browser has said nothing for {seconds} s")
            read = os.read(self._read, 1 << 20)
            if not read:
                raise RuntimeError("the browser has closed its pipe")
            self._rest += read
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)
