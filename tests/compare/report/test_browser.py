"""The report of a comparison works in a browser."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_comparison import RUDE, summary

from gvlab.compare import report
from gvlab.pictures import sounds


class Browser:
    """Headless Chromium, spoken to in the DevTools protocol over a pair of pipes."""

    FLAGS = (
        "--headless",
        "--remote-debugging-pipe",
        "--no-sandbox",  # which root, in a container, cannot have
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-quic",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
    )

    def __init__(self, binary: str, profile: Path) -> None:
        # Chromium reads from descriptor 3 and writes to 4; bash puts them there.
        ours_in, theirs_out = os.pipe()
        theirs_in, ours_out = os.pipe()
        given = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (theirs_in, theirs_out)]
        command = f'exec "$@" 3<&{given[0]} 4>&{given[1]}'
        self.process = subprocess.Popen(
            ["bash", "-c", command, "bash", binary, *self.FLAGS, f"--user-data-dir={profile}"],
            pass_fds=given,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        for end in (theirs_in, theirs_out, *given):
            os.close(end)
        self._in, self._out, self._rest, self._number = ours_in, ours_out, b"", 0
        self.events: list[dict[str, Any]] = []
        self._session: str | None = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]
            self.events.append(answer)

    def _next(self) -> dict[str, Any]:
        deadline = time.monotonic() + 60
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._in], [], [], deadline - time.monotonic())
            assert ready, "Chromium did not answer within a minute."
            read = os.read(self._in, 1 << 20)
            assert read, "Chromium has ended."
            self._rest += read
        message, self._rest = self._rest.split(b"\0", 1)
        return json.loads(message)

    def show(self, file: Path, width: int = 1200, scheme: str = "light") -> None:
        """Opens the file afresh and waits until it is loaded."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 500
        )
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.call("Page.navigate", url="about:blank")
        self.events.clear()
        self.call("Page.navigate", url=file.as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self.events.append(self._next())
        self.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def run(self, expression: str) -> Any:
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def press(self, key: str, code: int) -> None:
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def hover(self, selector: str, share: float) -> None:
        """The mouse over an element, at a share of its width."""
        x, y = self.run(
            f"(() => {{ const e = document.querySelector('{selector}'); e.scrollIntoView(); "
            f"const b = e.getBoundingClientRect(); return [b.left + {share} * b.width, b.top + b.height / 2]; }})()"
        )
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def close(self) -> None:
        with contextlib.suppress(AssertionError):
            self._session = None
            self.call("Browser.close")
        os.close(self._in)
        os.close(self._out)
        self.process.wait(30)


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no chromium on the path: install Debian's package chromium to test the page in a browser")
    started = Browser(CHROMIUM, tmp_path_factory.mktemp("profile"))
    yield started
    started.close()


@pytest.fixture(scope="module")
def file(original) -> Path:
    return report.write(*original)


ALL_LOADED = "[...document.images].every((image) => image.complete && image.naturalWidth > 0)"
SHOWN = "[...document.querySelectorAll('[data-samples] img:not([hidden])')].map((image) => image.alt)"
VALUES = "document.getElementById('values').innerText"


def test_the_page_loads_without_a_complaint_and_asks_for_nothing(browser, file):
    browser.show(file)
    assert browser.run(ALL_LOADED)
    assert browser.run("document.images.length") == 35
    bad = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded", "Network.loadingFailed")
    assert [event for event in browser.events if event["method"] in bad] == []
    asked = [e["params"]["request"]["url"] for e in browser.events if e["method"] == "Network.requestWillBeSent"]
    assert [url for url in asked if not url.startswith("data:")] == [file.as_uri()]


def test_sounds_are_played_where_they_are_asked_for(browser, comparison):
    directory, found = comparison
    tone = np.round(9000 * np.sin(0.3 * np.arange(2000))).astype(np.int16)
    newest = [max(run.glob("step-*.png")) for run in directory.glob("units/*/*/samples")]
    for file in newest:
        sounds.write(file.with_suffix(".wav"), tone[None, :, None], 8000)
    browser.show(report.write(directory, found))
    assert browser.run("document.querySelectorAll('audio').length") == len(newest)
    assert browser.run("[...document.querySelectorAll('audio')].every((audio) => audio.paused)")
    played = "(async () => { const a = document.querySelector('audio'); await a.play(); return a.duration; })()"
    asked = {"expression": played, "userGesture": True, "awaitPromise": True, "returnByValue": True}
    assert browser.call("Runtime.evaluate", **asked)["result"].get("value") == pytest.approx(0.25)
    bad = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded", "Network.loadingFailed")
    assert [event for event in browser.events if event["method"] in bad] == []


def test_the_slider_changes_the_pictures_by_keyboard(browser, file):
    browser.show(file)
    last = browser.run(SHOWN)
    assert len(last) == 6
    assert last[1].endswith("seed 1, at step 40")  # diverged: its newest
    browser.run("document.getElementById('sample-step').focus()")
    browser.press("Home", 36)
    first = browser.run(SHOWN)
    assert all(alt.endswith("at step 20") for alt in first)
    assert browser.run("document.getElementById('sample-output').textContent") == "20"
    browser.press("ArrowRight", 39)
    assert all(alt.endswith("at step 40") for alt in browser.run(SHOWN))
    assert browser.run("document.querySelector('[data-samples] .at').textContent") == "step 40"
    browser.press("End", 35)
    assert browser.run(SHOWN) == last


def test_the_curves_show_every_seeds_value_by_mouse_and_keyboard(browser, file):
    browser.show(file)
    assert browser.run("document.querySelectorAll('#chart .line').length") == 3
    assert browser.run("document.querySelector('#chart [data-diverged]').dataset.diverged") == "1"
    table = browser.run(VALUES)
    assert table.split("\n")[1].split("\t")[1:] == ["10", "\u00d7 diverged", "12", "11"]
    browser.run("document.getElementById('cursor').focus()")
    browser.press("Home", 36)
    assert browser.run(VALUES).split("\n")[1].split("\t")[1:] == ["0.1", "1.1", "2.1", "1.1"]
    browser.hover("#chart", 0.5)
    hovered = browser.run(VALUES)
    assert hovered != table
    step = int(browser.run("document.getElementById('cursor-step').textContent"))
    assert 30 <= step <= 70
    assert hovered.split("\n")[1].split("\t")[1] == f"{step / 10:g}"


def test_term_and_range_redraw_the_curves(browser, file):
    browser.show(file)
    choose = (
        "(() => {{ const s = document.getElementById('{}'); s.value = '{}'; s.dispatchEvent(new Event('change')); }})()"
    )
    browser.run(choose.format("term", "grad_norm"))
    assert browser.run("document.querySelectorAll('#chart .line').length") == 6
    assert "grad_norm" in browser.run(VALUES)
    ticks = "[...document.querySelectorAll('#chart text')].map((text) => text.textContent).join(' ')"
    linear = browser.run(ticks)
    seen = [linear]
    for way in ("half", "log"):
        browser.run(choose.format("range", way))
        seen.append(browser.run(ticks))
        assert "NaN" not in browser.run("document.getElementById('chart').innerHTML")
    assert len(set(seen)) == 3
    assert browser.run("document.getElementById('chart-note').textContent") == ""  # of all values none is left out


@pytest.mark.parametrize("width", [360, 1200])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_never_scrolls_sideways(browser, file, width, scheme):
    browser.show(file, width, scheme)
    browser.run("for (const details of document.querySelectorAll('details')) details.open = true")
    assert browser.run("document.documentElement.scrollWidth") <= width
    assert browser.run(ALL_LOADED)


def test_the_page_of_a_quickstart_is_no_longer_than_seven_screens(browser, comparison):
    """Two experiments, six seeds and twenty measures each, on a screen of 1280 pixels."""
    directory, made = comparison
    kinds = [
        f"{kind}_{x}" for x in ("pixels", "digits") for kind in ("precision", "recall", "density", "coverage", "kld")
    ]
    many = [*kinds, "frechet_pixels", "elbo_nats", "iw_bound_nats", "active_units", "g_loss", "real_logit"]
    for name in (RUDE, "vae"):
        made["summaries"] += [summary(name, measure, "lower", [1.0, 2.0, 3.0]) for measure in many]
    made["pairs"] += [made["pairs"][0] | {"measure": measure} for measure in kinds]
    for unit in list(made["units"]):
        made["units"].append(unit | {"seed": unit["seed"] + 3, "directory": unit["directory"][:-1] + "0"})
    made["seeds"] = list(range(6))
    browser.show(report.write(directory, made), 1280)
    assert browser.run("document.documentElement.scrollHeight") <= 7000
    heads = "document.querySelectorAll('#intervals ~ .forests > .forest').length"
    assert browser.run(heads) == 6


def test_a_seed_is_chosen_for_all_pictures(browser, file):
    browser.show(file)
    visible = "[...document.querySelectorAll('[data-seed]')].filter((f) => f.offsetParent).map((f) => f.dataset.seed)"
    assert set(browser.run(visible)) == {"0"}
    choose = "(() => {{ const s = document.getElementById('seed'); s.value = '{}'; {} }})()"
    change = "s.dispatchEvent(new Event('change'));"
    browser.run(choose.format(2, change))
    assert set(browser.run(visible)) == {"2"}
    browser.run(choose.format("all", change))
    assert set(browser.run(visible)) == {"0", "1", "2"}
    assert browser.run("document.documentElement.scrollWidth") <= 1200


CONTRASTS = """(() => {
  const linear = (c) => c <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4;
  const light = (colour) => {
    const [r, g, b] = colour.match(/[0-9.]+/g).map((part) => linear(part / 255));
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const back = light(getComputedStyle(document.body).backgroundColor);
  const contrast = (element) => {
    const front = light(getComputedStyle(element).color);
    return (Math.max(back, front) + .05) / (Math.min(back, front) + .05);
  };
  const mark = document.body.appendChild(document.createElement("i"));
  return {
    text: ["body", ".note", ".reason", "dt", "a", "td"].map((selector) => contrast(document.querySelector(selector))),
    marks: [0, 1, 2, 3, 4, 5].map((colour) => { mark.className = `k${colour}`; return contrast(mark); }),
  };
})()"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_marks_stand_out_from_the_ground(browser, file, scheme):
    """4.5 for text and 3 for graphics, as the Web Content Accessibility Guidelines ask."""
    browser.show(file, scheme=scheme)
    found = browser.run(CONTRASTS)
    assert min(found["text"]) >= 4.5
    assert min(found["marks"]) >= 3


def test_every_control_can_be_reached_by_keyboard(browser, file):
    browser.show(file)
    reached = []
    for _ in range(80):
        browser.press("Tab", 9)
        reached.append(browser.run("document.activeElement.id || document.activeElement.tagName"))
    assert {"term", "range", "cursor", "sample-step", "SUMMARY", "A", "DIV"} <= set(reached)
