"""A headless browser without a network, driven by selenium, for interactive pages."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
MISSING = "no headless browser: apt-get install chromium chromium-driver"

_FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--use-gl=angle", "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
    "--window-size=1200,900", "--force-device-scale-factor=1", "--proxy-server=127.0.0.1:9",  # nobody listens there
)  # fmt: skip


@contextlib.contextmanager
def browser() -> Iterator[Any]:
    """A browser with an empty profile of its own, whose proxy does not exist: nothing can be fetched."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = str(CHROMIUM)
        for flag in (*_FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        driver = webdriver.Chrome(options=options, service=Service(DRIVER))
        try:
            yield driver
        finally:
            driver.quit()


def complaints(driver: Any) -> list[str]:
    """What the page wrote to the console as an error, or as a warning of its own (the driver of OpenGL warns of its speed)."""
    return [
        entry["message"]
        for entry in driver.get_log("browser")
        if entry["level"] == "SEVERE" or (entry["level"] == "WARNING" and "GL Driver Message" not in entry["message"])
    ]


def requested(driver: Any) -> list[str]:
    """The addresses that were asked for since the last call, without the browser's own pages."""
    messages = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    urls = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    return [url for url in urls if not url.startswith("chrome")]
