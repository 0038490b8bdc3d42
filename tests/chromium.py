"""A page in headless Chromium, driven by its DevTools protocol; Debian calls the package chromium.

Source: https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
"""Where Chromium is, or None."""
SECONDS = 60.0


class Tab:
    """One page.

    Attributes:
        complaints: What the page has written to its console, and loads that failed.
    """

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._number = 0
        self._events: list[str] = []
        self.complaints: list[str] = []

    async def call(self, method: str, **parameters: Any) -> Any:
        """Call a method of the protocol and return its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        await self._socket.write_message(json.dumps(message))
        while (answer := await self._next()).get("id") != self._number:
            pass
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    async def open(self, url: str, *, size: tuple[int, int] = (1280, 800)) -> None:
        """Load a page at a size in pixels, until it is loaded."""
        for domain in ("Page", "Log", "Runtime"):
            await self.call(f"{domain}.enable")
        width, height = size
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        self._events.clear()
        await self.call("Page.navigate", url=url)
        while "Page.loadEventFired" not in self._events:
            await self._next()

    async def value(self, script: str) -> Any:
        """Return the value of a JavaScript expression; one that is a promise is waited for."""
        found = await self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in found:
            raise RuntimeError(f"{script}: {found['exceptionDetails']}")
        return found["result"].get("value")

    async def until(self, script: str) -> None:
        """Wait until an expression is true."""
        clock = asyncio.get_running_loop().time
        end = clock() + SECONDS
        while not await self.value(script):
            if clock() > end:
                raise TimeoutError(script)
            await asyncio.sleep(0.02)

    async def press(self, key: str) -> None:
        """Press a key, such as ``ArrowRight``."""
        codes = {"ArrowLeft": 37, "ArrowRight": 39, "Escape": 27, "Enter": 13}
        names = {"key": key, "code": key, "windowsVirtualKeyCode": codes[key]}
        text = {"text": "\r"} if key == "Enter" else {}
        await self.call("Input.dispatchKeyEvent", type="keyDown", **names, **text)
        await self.call("Input.dispatchKeyEvent", type="keyUp", **names)

    async def screenshot(self, file: Path) -> None:
        """Write what is seen to a PNG file."""
        shot = await self.call("Page.captureScreenshot")
        file.write_bytes(base64.b64decode(shot["data"]))

    async def _next(self) -> dict[str, Any]:
        text = await asyncio.wait_for(self._socket.read_message(), SECONDS)
        if text is None:
            raise RuntimeError("Chromium has closed the connection")
        message: dict[str, Any] = json.loads(text)
        method = message.get("method", "")
        self._events.append(method)
        if method in ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown"):
            self.complaints.append(json.dumps(message["params"]))
        return message


@asynccontextmanager
async def tab(folder: Path) -> AsyncIterator[Tab]:
    """Start Chromium with an empty profile in a folder, and give a tab of it."""
    from tornado.httpclient import AsyncHTTPClient
    from tornado.websocket import websocket_connect

    assert PROGRAM is not None
    arguments = ("--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0")
    process = await asyncio.create_subprocess_exec(
        PROGRAM,
        *arguments,
        f"--user-data-dir={folder}",
        "about:blank",
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        port = await asyncio.wait_for(_port(process), SECONDS)
        answer = await AsyncHTTPClient().fetch(f"http://127.0.0.1:{port}/json")
        (page,) = [each for each in json.loads(answer.body) if each["type"] == "page"]
        socket = await websocket_connect(page["webSocketDebuggerUrl"], max_message_size=1 << 28)
        try:
            yield Tab(socket)
        finally:
            socket.close()
    finally:
        process.terminate()
        await process.communicate()


async def _port(process: asyncio.subprocess.Process) -> int:
    """Return the port that Chromium says it listens on."""
    assert process.stderr is not None
    async for line in process.stderr:
        if found := re.search(rb"DevTools listening on ws://127\.0\.0\.1:(\d+)/", line):
            return int(found[1])
    raise RuntimeError("Chromium did not start")
