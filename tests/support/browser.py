"""A tab of headless Chromium for tests of pages: opened, driven by keys and the mouse, and looked at."""

import base64
import contextlib
import io
import itertools
import json
import os
import select
import shutil
import subprocess

import numpy as np
from PIL import Image

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Browser:
    """One tab of headless Chromium, spoken to by the DevTools protocol: JSON over two pipes, NUL after each message."""

    def __init__(self, profile):
        commands, self.commands = os.pipe()
        self.replies, replies = os.pipe()
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
        flags += [
            "--disable-background-networking",
            "--remote-debugging-pipe",
            f"--user-data-dir={profile}",
            "about:blank",
        ]
        speak = f'exec "$0" "$@" 3<&{commands} 4>&{replies}'
        self.process = subprocess.Popen(
            ["bash", "-c", speak, CHROMIUM, *flags], pass_fds=(commands, replies), stderr=subprocess.DEVNULL
        )
        os.close(commands)
        os.close(replies)
        self.unread, self.ids, self.events, self.session = b"", itertools.count(1), [], None
        tab = next(t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page")
        self.session = self.call("Target.attachToTarget", targetId=tab["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method, **params):
        message = {"id": next(self.ids), "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.commands, json.dumps(message).encode() + b"\0")
        while (reply := self._read()).get("id") != message["id"]:
            self.events.append(reply)
        assert "error" not in reply, reply
        return reply["result"]

    def _read(self):
        while b"\0" not in self.unread:
            assert select.select([self.replies], [], [], 60)[0], "Chromium does not answer"
            received = os.read(self.replies, 1 << 20)
            assert received, "Chromium has gone"
            self.unread += received
        message, self.unread = self.unread.split(b"\0", 1)
        return json.loads(message)

    def close(self):
        with contextlib.suppress(OSError, AssertionError):
            self.call("Browser.close")
        self.process.wait(20)
        os.close(self.commands)
        os.close(self.replies)

    def ask(self, expression):
        """The value of a JavaScript expression."""
        reply = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in reply, reply["exceptionDetails"]
        return reply["result"].get("value")

    def open(self, path, width=1280, height=900, dark=False, script=True):
        """Open a file. Chromium must not have fetched anything else, nor complained, by the time of `complaints()`."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Emulation.setScriptExecutionDisabled", value=not script)
        self.events.clear()
        self.call("Page.navigate", url=path.as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self.events.append(self._read())
        self.settle()

    def settle(self):
        """Wait for two frames: scripts have run, observers have reported, pictures are painted."""
        for _ in range(2):
            self.call("Page.captureScreenshot", clip={"x": 0, "y": 0, "width": 8, "height": 8, "scale": 1})

    def screenshot(self):
        """What is in sight, uint8 (H, W, 3)."""
        data = self.call("Page.captureScreenshot")["data"]
        with Image.open(io.BytesIO(base64.b64decode(data))) as image:
            return np.asarray(image.convert("RGB"))

    def key(self, name):
        codes = {"ArrowLeft": 37, "ArrowRight": 39, "Home": 36, "End": 35}
        key = {"key": name, "code": name, "windowsVirtualKeyCode": codes[name]}
        self.call("Input.dispatchKeyEvent", type="keyDown", **key)
        self.call("Input.dispatchKeyEvent", type="keyUp", **key)

    def place(self, selector, across=0.5, down=0.5):
        """Scroll to an element; the position in the window of a point of it."""
        box = self.ask(
            f"((e) => {{ e.scrollIntoView({{block: 'center'}}); const b = e.getBoundingClientRect();"
            f" return [b.x, b.y, b.width, b.height] }})(document.querySelector({json.dumps(selector)}))"
        )
        return box[0] + across * box[2], box[1] + down * box[3]

    def mouse(self, kind, x, y, clicks=0):
        pressed = {"button": "left", "clickCount": clicks} if clicks else {}
        self.call("Input.dispatchMouseEvent", type=f"mouse{kind}", x=x, y=y, **pressed)

    def click(self, selector, across=0.5, down=0.5, times=1):
        x, y = self.place(selector, across, down)
        for n in range(1, times + 1):
            self.mouse("Pressed", x, y, n)
            self.mouse("Released", x, y, n)
