"""A headless Chromium, spoken to over a pair of pipes: what its pages look like, and what it complains about.

    with Chromium() as browser:
        page = browser.show("http://127.0.0.1:8080/", width=390, dark=True)
        assert page.complaints == [] and page.value("document.title") == "..."
"""

import base64
import fcntl
import itertools
import json
import os
import select
import subprocess
import time

from tests.live import machine, processes

SECONDS = 60
# nothing of a person's own settings, nothing asked of the network but our pages, no helper processes that are not
# needed; the sandbox of Chromium does not work for root
OPTIONS = ["--headless=new", "--remote-debugging-pipe", "--disable-gpu", "--no-first-run", "--hide-scrollbars",
           "--disable-background-networking", "--disable-component-update", "--disable-extensions", "--disable-sync",
           "--no-default-browser-check", "--disable-dev-shm-usage", "--no-proxy-server"]
# events that tell of something wrong in a page
TROUBLE = {"Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded", "Audits.issueAdded",
           "Network.loadingFailed"}
# the browser reads descriptor 3 and writes to descriptor 4
AS_THREE_AND_FOUR = 'exec "$@" 3<&{} 4>&{}'


class Chromium:
    """A browser, with nothing in its memory; ends with all its processes."""

    def __init__(self):
        self.program = machine.program("chromium", "chromium")

    def __enter__(self):
        profile = processes.new_folder("chromium")
        argv = [self.program, *OPTIONS, f"--user-data-dir={profile}", *["--no-sandbox"] * (os.geteuid() == 0)]
        told, self.pen = _pipe()
        self.news, telling = _pipe()
        shell = AS_THREE_AND_FOUR.format(told, telling)
        self.processes = processes.Processes(["/bin/bash", "-c", shell, "chromium", *argv], {"HOME": profile},
                                             pass_fds=(told, telling), stdin=subprocess.DEVNULL,
                                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(told)
        os.close(telling)
        self.numbers, self.held, self.events, self.answers = itertools.count(1), b"", [], {}
        return self

    def __exit__(self, *_):
        self.processes.end()
        os.close(self.pen)
        os.close(self.news)

    def show(self, url, width=1280, height=800, dark=False):
        """Open a page and wait until everything in it is loaded."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, session)
        for domain in ("Page", "Runtime", "Log", "Audits", "Network"):
            page.call(f"{domain}.enable")
        page.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                  mobile=width < 600)
        page.call("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        page.go(url)
        return page

    def call(self, method, session=None, **parameters):
        """Have the browser do something; what it answers.  RuntimeError for an error, TimeoutError for silence."""
        number = next(self.numbers)
        message = {"id": number, "method": method, "params": parameters, **({"sessionId": session} if session else {})}
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.pen, data):]
        self.until(lambda: number in self.answers, method)
        answer = self.answers.pop(number)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def until(self, check, what):
        """Read what the browser says until this is true."""
        deadline = time.monotonic() + SECONDS
        while not check():
            if not select.select([self.news], [], [], max(deadline - time.monotonic(), 0))[0]:
                raise TimeoutError(f"no {what} within {SECONDS} s")
            data = os.read(self.news, 1 << 20)
            if not data:
                raise RuntimeError("the browser ended")
            *whole, self.held = (self.held + data).split(b"\0")
            for message in map(json.loads, whole):
                if "id" in message:
                    self.answers[message["id"]] = message
                else:
                    self.events.append(message)


def _pipe():
    """A pipe whose ends are none of the descriptors that the browser has them at."""
    low = os.pipe()
    try:
        return [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in low]
    finally:
        for fd in low:
            os.close(fd)


class Page:
    """One tab."""

    def __init__(self, browser, session):
        self.browser, self.session = browser, session

    def call(self, method, **parameters):
        """As Chromium.call, for this page."""
        return self.browser.call(method, self.session, **parameters)

    def go(self, url):
        """Have it show another address, as if it had been typed."""
        seen = len(self.named("Page.loadEventFired"))
        failure = self.call("Page.navigate", url=url).get("errorText")
        if failure:
            raise RuntimeError(f"{url}: {failure}")
        self.browser.until(lambda: len(self.named("Page.loadEventFired")) > seen, f"page at {url}")

    def named(self, *names):
        """What this page has told so far in events of these names."""
        return [one["params"] for one in self.browser.events
                if one.get("sessionId") == self.session and one["method"] in names]

    @property
    def complaints(self):
        """Errors and warnings about scripts, the policy (CSP), and what could not be fetched."""
        self.value("0")                 # what was told before the answer is here
        return self.named(*TROUBLE)

    def value(self, expression):
        """What an expression of JavaScript is, as a value of JSON."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def press(self, key):
        """Press a key, such as Tab or Enter, and let it go."""
        text = {"text": "\r"} if key == "Enter" else {}
        codes = {"Tab": 9, "Enter": 13}
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=codes[key],
                      **(text if kind == "keyDown" else {}))

    def picture(self):
        """What there is to see, as a PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot")["data"])
