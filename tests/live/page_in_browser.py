#!/usr/bin/env python3
"""The pages of `mseal report --html` and `mseal status --html` in a browser: Chromium without a window, steered through
pipes. In light and dark, on a phone and a wide screen: they fit, ask for nothing from elsewhere, are drawn to scale, and can
be used by keyboard; without scripts, the tables are there.

    page_in_browser.py --tool PATH --program PATH [--pictures FOLDER]

PROGRAM is own_data_program, whose calls are recorded. Exit status 77 without a browser (1 with MSEAL_TESTS_MUST_RUN=1).
"""
import argparse
import base64
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
from needs import needs_map_files  # noqa: E402

BROWSERS = ["chromium", "chromium-browser", "google-chrome"]
SCREENS = {"phone": 390, "wide": 1600}
SCHEMES = ["light", "dark"]
HOSTILE = "<img src=http:a onerror=a()> {{data}} </script>"  # the name of a program

# Two calls on a library, which does not mind.
CALLS = """
import ctypes
libc = ctypes.CDLL(None)
text = ctypes.c_void_p(ctypes.cast(libc.strlen, ctypes.c_void_p).value & -4096)
libc.mprotect(text, 4096, 5)
libc.madvise(text, 4096, 4)
"""

problems = []


def check(holds, what):
    if not holds:
        problems.append(what)


class Browser:
    """Speaks the DevTools protocol, as JSON ended by zeros, through the descriptors 3 and 4."""

    def __init__(self, program, folder):
        to_browser, self.output = os.pipe()
        self.input, from_browser = os.pipe()

        def prepare():
            os.dup2(os.dup(to_browser), 3)
            os.dup2(os.dup(from_browser), 4)

        # Both ends out of the way of 3 and 4.
        to_browser, from_browser = (os.dup2(one, one + 100) for one in (to_browser, from_browser))
        self.process = subprocess.Popen(
            [program, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars",
             f"--user-data-dir={folder}/profile", "--remote-debugging-pipe", "about:blank"],
            preexec_fn=prepare, close_fds=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for one in (to_browser, from_browser):
            os.close(one)
        self.held = b""
        self.number = 0
        self.session = None
        self.events = []
        page = self.send("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.send("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(domain + ".enable")

    def read(self):
        while b"\0" not in self.held:
            part = os.read(self.input, 1 << 20)
            if not part:
                raise RuntimeError("the browser has ended")
            self.held += part
        message, self.held = self.held.split(b"\0", 1)
        return json.loads(message)

    def send(self, method, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.output, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.read()
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def evaluate(self, expression):
        answer = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def open(self, path, width, scheme, scripts=True):
        self.send("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600)
        self.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.events.clear()
        self.send("Page.navigate", url=pathlib.Path(path).as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self.events.append(self.read())

    def press(self, key):
        for kind in ("rawKeyDown", "keyUp"):
            code = {"Tab": 9, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "End": 35, "Home": 36,
                    "Escape": 27}[key]
            self.send("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def picture(self, path, top=0, height=None):
        size = self.send("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": top, "width": size["width"], "height": min(height or size["height"], size["height"] - top), "scale": 1}
        shot = self.send("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        pathlib.Path(path).write_bytes(base64.b64decode(shot["data"]))

    def end(self):
        self.session = None
        try:
            self.send("Browser.close")
        except (RuntimeError, OSError):
            pass
        self.process.wait(timeout=20)


# ---- what must hold of a page ----

# Everything that is wider than the screen, unless it lies in what can be scrolled. On a phone, innerWidth grows with it.
TOO_WIDE = """((width) => [...document.querySelectorAll('body *')].filter((one) => {
  const box = one.getBoundingClientRect();
  return box.width && (box.right > width + 1 || box.left < -1) && !one.closest('.scroll, pre, svg, .bar');
}).map((one) => one.tagName + '.' + one.className))"""

# The lowest contrast of a text, by WCAG, where the background is that of the page.
CONTRAST = """(() => {
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => numbers(colour).slice(0, 3).map((one) => one / 255)
    .map((one) => one <= .04045 ? one / 12.92 : ((one + .055) / 1.055) ** 2.4)
    .reduce((sum, one, index) => sum + one * [.2126, .7152, .0722][index], 0);
  const page = light(getComputedStyle(document.documentElement).backgroundColor);
  const texts = [...document.querySelectorAll('h1, h2, p, dt, dd, th, td, code, label, li')].filter((one) => one.offsetParent);
  return [page, Math.min(...texts.map((one) => light(getComputedStyle(one).color))
    .map((one) => (Math.max(one, page) + .05) / (Math.min(one, page) + .05)))];
})()"""

# How far widths are from sizes, at most, among parts of one bar that are wider than the least.
SCALE = """Math.max(0, ...[...document.querySelectorAll('.bar')].map((bar) => {
  const parts = [...bar.querySelectorAll('.part:not(.cut)')].map((one) => [one.getBoundingClientRect().width, Number(one.style.flexGrow)])
    .filter(([width]) => width > 40).map(([width, size]) => width / size);
  return parts.length < 2 ? 0 : Math.max(...parts) / Math.min(...parts) - 1;
}))"""


def check_page(browser, path, name, kind, width):
    failed = [event["params"] for event in browser.events
              if event["method"] == "Runtime.exceptionThrown"
              or event["method"] == "Log.entryAdded" and event["params"]["entry"]["level"] == "error"]
    check(not failed, f"{name}: an error in the page: {failed}")
    requests = [event["params"]["request"]["url"] for event in browser.events if event["method"] == "Network.requestWillBeSent"]
    check(requests == [pathlib.Path(path).as_uri()], f"{name}: asks for {requests}")
    wide = browser.evaluate(f"[document.documentElement.scrollWidth - {width}, {TOO_WIDE}({width})]")
    check(wide[0] <= 0 and not wide[1], f"{name}: overflows by {wide[0]}: {wide[1]}")
    page, contrast = browser.evaluate(CONTRAST)
    check((page < .05) == ("dark" in name), f"{name}: the page's lightness is {page}")
    check(contrast >= 4.5, f"{name}: a text has a contrast of {contrast}")
    check(browser.evaluate("document.images.length") == 0, f"{name}: a name has become an image")
    check(browser.evaluate("document.querySelectorAll('.part').length") > 20, f"{name}: few mappings are drawn")
    check(browser.evaluate(SCALE) < .05, f"{name}: not to scale by {browser.evaluate(SCALE)}")
    if kind == "report":
        check(browser.evaluate("document.querySelectorAll('.hit').length") >= 3, f"{name}: few hits are drawn")
        check(browser.evaluate("document.querySelectorAll('.lane').length") >= 2, f"{name}: few programs in the timeline")


FOCUS = """(() => {
  const one = document.activeElement;
  const style = getComputedStyle(one);
  return {part: [...document.querySelectorAll('.part')].indexOf(one), label: one.getAttribute('aria-label'),
    visible: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2};
})()"""


def check_keyboard(browser, name):
    """Tab reaches the picture, arrows every part of it, and what is reached is shown."""
    focus = None
    for _ in range(40):
        browser.press("Tab")
        focus = browser.evaluate(FOCUS)
        check(focus["visible"], f"{name}: the focus does not show on {focus}")
        if focus["part"] >= 0:
            break
    else:
        return check(False, f"{name}: Tab does not reach the mappings")
    browser.press("Home")
    count = browser.evaluate("document.querySelectorAll('.part').length")
    for index in range(1, min(count, 60)):
        browser.press("ArrowRight")
        focus = browser.evaluate(FOCUS)
        if focus["part"] != index or not focus["visible"]:
            return check(False, f"{name}: the right arrow leads to {focus}, not to part {index}")
    browser.press("End")
    check(browser.evaluate(FOCUS)["part"] == count - 1, f"{name}: End does not lead to the last mapping")
    browser.press("ArrowUp")
    check(0 <= browser.evaluate(FOCUS)["part"] < count - 1, f"{name}: the up arrow stays")
    shown = browser.evaluate("document.getElementById('detail').hidden ? '' : document.getElementById('detail').innerText")
    start = browser.evaluate(FOCUS)["label"].split(", ")[1].split(" ")[0]
    check(start in shown, f"{name}: the details do not tell of {start}: {shown}")
    browser.press("Escape")
    check(browser.evaluate("document.getElementById('detail').hidden"), f"{name}: Escape does not close the details")
    browser.press("Tab")
    check(browser.evaluate(FOCUS)["part"] < 0, f"{name}: Tab does not leave the mappings")


def check_filters(browser, name):
    choose = """(label, value) => {
      const choice = [...document.querySelectorAll('#filters label')].find((one) => one.firstChild.data === label).lastChild;
      choice.value = value;
      choice.dispatchEvent(new Event('change'));
      const rows = [...document.querySelectorAll('#findings tbody tr')];
      return [rows.filter((one) => one.offsetParent).length, rows.length, document.querySelectorAll('.hit').length,
        rows.every((one) => !one.offsetParent || one.innerText.includes(value))];
    }"""
    calls = browser.evaluate("[...document.querySelectorAll('#filters label:last-child option')].map((one) => one.value).filter(Boolean)")
    check(len(calls) >= 2, f"{name}: no filter by call: {calls}")
    seen = 0
    for call in calls:
        rows, count, hits, fit = browser.evaluate(f"({choose})('call', {json.dumps(call)})")
        check(0 < rows < count and fit, f"{name}: the filter for {call} shows {rows} of {count} rows")
        seen += rows
    check(seen == count, f"{name}: the filters by call show {seen} of {count} rows")
    browser.evaluate(f"({choose})('call', '')")
    rows, count, hits, _ = browser.evaluate(f"({choose})('host', 'web2')")
    check(rows > 0 and hits > 0, f"{name}: the filter for a host shows {rows} rows, {hits} hits")


# ---- the pages ----


def make_pages(given, folder):
    """A report of two hosts and several programs, one of them with a name that is HTML; the status of a process."""
    hostile = folder / HOSTILE.replace("/", "\u2215")
    shutil.copy(given.program, hostile)
    events = folder / "web1.jsonl"
    environment = {**os.environ, "MSEAL_OPTIONS": "policy=none", "LD_LIBRARY_PATH": str(pathlib.Path(given.tool).parent)}
    script = '"$0"; "$1"; "$2" -c "$3"'
    subprocess.run([given.tool, "run", "--backend=supervised", "--mode=audit", "--auto=data", f"--events={events}", "--", "/bin/sh",
                    "-c", script, given.program, str(hostile), sys.executable, CALLS], env=environment, check=True, stdout=subprocess.DEVNULL)
    for _ in range(100):
        lines = events.read_text().splitlines()
        if sum('"verdict"' in line for line in lines) >= 10:
            break
        time.sleep(.1)
    check(any('"maps"' in line for line in lines), "the events have no maps")
    other = folder / "web2.jsonl"
    with other.open("w") as file:
        for line in lines:
            print(json.dumps({**json.loads(line), "host": "web2"}), file=file)
    report = folder / "report.html"
    subprocess.run([given.tool, "report", f"--html={report}", str(events), str(other)], check=True)
    check(report.stat().st_mode & 0o007 == 0, f"others can read {report}")
    if not needs_map_files():
        return {"report": report}
    with subprocess.Popen([given.tool, "run", "--backend=supervised", "--", "/bin/cat"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, env=environment) as program:
        program.stdin.write(b"x\n")
        program.stdin.flush()
        program.stdout.readline()
        status = folder / "status.html"
        subprocess.run([given.tool, "status", f"--html={status}", str(program.pid)], check=True)
        program.stdin.close()
    check(status.stat().st_mode & 0o007 == 0, f"others can read {status}")
    return {"report": report, "status": status}


def check_all(given, browser, folder):
    for kind, path in make_pages(given, folder).items():
        for scheme in SCHEMES:
            for screen, width in SCREENS.items():
                name = f"{kind}-{screen}-{scheme}"
                browser.open(path, width, scheme)
                if given.pictures:
                    browser.picture(pathlib.Path(given.pictures, name + ".png"))
                check_page(browser, path, name, kind, width)
                if scheme == "light":
                    check_keyboard(browser, name)
                if kind == "report" and scheme == "light":
                    check_filters(browser, name)
        browser.open(path, SCREENS["phone"], "light", scripts=False)
        text = browser.evaluate("document.body.innerText")
        rows = browser.evaluate("document.querySelectorAll('table tbody tr').length")
        check("Without scripts" in text and rows > 20, f"{kind}: without scripts there are {rows} rows")
        if kind == "report":
            check("onerror" in text and "seal = false" in text, f"{kind}: without scripts there is no policy, or a name is lost")
            check("called from" in text or "would refuse" in text, f"{kind}: without scripts there are no calls")


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--tool", required=True)
    parser.add_argument("--program", required=True)
    parser.add_argument("--pictures", help="a folder for pictures of the pages, to look at")
    given = parser.parse_args()
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        print("skipped: Chromium is missing (Debian: chromium)")
        return 1 if os.environ.get("MSEAL_TESTS_MUST_RUN") == "1" else 77
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        browser = Browser(program, folder)
        try:
            check_all(given, browser, pathlib.Path(folder))
        finally:
            browser.end()
    print("\n".join(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
