"""The interactive page opens from a file without a network, shows the detector, and turns with the mouse.

In headless Chromium; skipped where there is none. The first look is that of the still pictures, so sensors are looked for where
the same camera puts them.
"""

from __future__ import annotations

import html
import io
import re
import time

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from studio import InputError, Primary, Readout
from studio.rendering.camera import Camera
from studio.rendering.page import page_camera, write_page
from studio.rendering.style import PALETTE
from studio.rendering.view import Colouring, event_view, layout_view
from studio.units import m
from tests.rendering.browser import CHROMIUM, DRIVER, MISSING, browser, complaints, requested
from tests.tanks import cylinder

needs_browser = pytest.mark.skipif(CHROMIUM is None or DRIVER is None, reason=MISSING)


@pytest.fixture(scope="module")
def tank():
    return cylinder(2.0 * m, 3.0 * m, 0.9 * m)


@pytest.fixture(scope="module")
def view(tank):
    count = tank.sensors.count
    hit = np.arange(count) % 4 > 0
    readout = Readout(np.geomspace(1.0, 300.0, count) * hit, np.zeros(count), hit)
    return event_view(tank, Primary("mu-", (0.0, 100.0, 200.0), (1.0, 0.3, 0.1), 500.0), readout)


@pytest.fixture(scope="module")
def page(view, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "event.html"
    write_page(view, path)
    return path


def screenshot(driver) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(driver.get_screenshot_as_png())).convert("RGB")) / 255


def drawn(driver, colour: str) -> np.ndarray:
    """A screenshot as soon as the colour is in it; the page decodes and draws after it was loaded."""
    end = time.monotonic() + 60
    while True:
        image = screenshot(driver)
        if np.count_nonzero(np.abs(image - to_rgb(colour)).max(axis=-1) < 0.02) > 200 or time.monotonic() > end:
            return image
        time.sleep(0.2)


@needs_browser
def test_the_page_opens_offline_and_turns(view, page):
    from selenium.webdriver.common.action_chains import ActionChains

    with browser() as driver:
        driver.get(page.as_uri())
        before = drawn(driver, view.lines[1].colour)
        canvas = driver.find_element("css selector", "canvas")
        drag = ActionChains(driver).move_to_element(canvas).click_and_hold().move_by_offset(150, 20)
        drag.move_by_offset(150, 20).release().perform()
        time.sleep(1)
        after = screenshot(driver)
        assert complaints(driver) == []
        # The page itself, and the data inside it; nothing else was even asked for.
        assert {url.split(":")[0] for url in requested(driver)} == {"file", "data"}
        assert driver.title == view.title
        assert driver.find_element("id", "words").is_displayed()
        label = driver.find_element("css selector", "#scale em")
        assert label.text == view.colouring.label
    # Sensors that face the onlooker have their colours where the camera of the pictures puts them.
    first = page_camera(view)
    camera = Camera(first.look, first.distance, (before.shape[1], before.shape[0]))
    towards = camera.position - view.positions / m
    facing = np.einsum("si,si->s", towards / np.linalg.norm(towards, axis=-1, keepdims=True), view.normals) > 0.45
    columns, rows = np.floor(camera.project(view.positions[facing] / m)).astype(int).T
    colours = view.colours[facing]
    right = np.abs(before[rows, columns] - colours).max(axis=-1) < 2.51 / 255  # 8 bits, twice rounded
    assert right.mean() > 0.8  # the track, the ring or an edge may run before the middle of a sensor
    moved = np.abs(after[rows, columns] - colours).max(axis=-1) < 2.51 / 255
    assert moved.mean() < 0.5 * right.mean()
    assert np.mean(np.abs(after - before).max(axis=-1) > 0.1) > 0.02  # of all pixels
    # It is still there, and the words stand where they stood.
    ring = [np.count_nonzero(np.abs(i - to_rgb(view.lines[1].colour)).max(axis=-1) < 0.02) for i in (before, after)]
    assert min(ring) > 200
    np.testing.assert_array_equal(before[:60, :300], after[:60, :300])


def test_a_page_is_one_file_with_everything_in_it(page, view):
    """No address that a browser would follow: no source, no link, no import of anything but data."""
    text = page.read_text(encoding="utf-8")
    outside = re.compile(r"""(?:src|href)\s*=\s*["']?(?:https?:)?//|@import|url\(\s*["']?(?:https?:)?//|<link\b""")
    assert not outside.search(text)
    assert len(text) < 2_000_000  # 0.7 MB of viewer
    assert text.count("<title>") == 1
    assert html.escape(view.summary) in text
    for line in view.lines:
        assert line.name in text


def test_words_are_text_and_never_markup(tank, tmp_path):
    count = tank.sensors.count
    colouring = Colouring(np.linspace(0.0, 2.0, count), "a <b>label</b> (m)", 0.0, 1.0)
    write_page(layout_view(tank, colouring, "<script>alert(1)</script>"), tmp_path / "odd.html")
    text = (tmp_path / "odd.html").read_text(encoding="utf-8")
    assert "<script>alert" not in text
    assert "&lt;b&gt;label" in text


def test_the_colour_bar_has_ticks_where_the_amounts_are(tank, tmp_path):
    """Linear from 0 to 1: the tick 0.4 stands at 40 % of the height. Amounts beyond an end are said to be there."""
    colouring = Colouring(np.linspace(0.0, 2.0, tank.sensors.count), "an amount (m)", 0.0, 1.0)
    write_page(layout_view(tank, colouring), tmp_path / "layout.html")
    text = (tmp_path / "layout.html").read_text(encoding="utf-8")
    ticks = {name: float(place) for place, name in re.findall(r'<span style="bottom:([\d.]+)%">([^<]*)</span>', text)}
    assert ticks["≥ 1"] == 100.0
    assert ticks["0"] == 0.0
    assert ticks["0.4"] == 40.0


def test_types_of_sensors_have_a_legend(tank, tmp_path):
    write_page(layout_view(tank), tmp_path / "layout.html")
    text = (tmp_path / "layout.html").read_text(encoding="utf-8")
    assert f'<i class="dot" style="--c:{PALETTE[0]}">multi pmt 19</i>' in text
    assert 'id="scale"' not in text


def test_a_page_without_a_folder_is_refused(tank, tmp_path):
    with pytest.raises(InputError, match="cannot be written"):
        write_page(layout_view(tank), tmp_path / "nowhere" / "page.html")
