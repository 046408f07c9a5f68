"""What all tests share: the checkout's package, one built book, and nbval's kernels."""

import functools
import http.server
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.in_browser import WIDE, Watched
from tests.reference_notebooks import REFERENCE_ENVIRONMENT, ROOT
from tests.scratch_book import BUILD_FLAGS, Built

# A test that reads the cohort reads the shipped one, whatever the shell says.
os.environ.pop("SALVAGE_COHORT", None)
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

NOTEBOOK_SUFFIX = ".ipynb"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    """A kernel of nbval gets the environment that the references were made in."""
    if item.path.suffix != NOTEBOOK_SUFFIX:
        return (yield)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in REFERENCE_ENVIRONMENT.items():
            patch.setenv(name, value)
        return (yield)


def once(folder: Path, make: Callable[[], None]) -> None:
    """Call ``make`` in one of the test workers; the others wait until it is done."""
    folder.mkdir(parents=True, exist_ok=True)
    done, mine = folder / "done", folder / "started"
    try:
        mine.touch(exist_ok=False)
    except FileExistsError:
        while not done.exists():
            time.sleep(0.2)
        return
    try:
        make()
    finally:
        done.touch()


@pytest.fixture(scope="session")
def built_book(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The real book, built once from this checkout into a folder of its own."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    folder = shared / "book"
    log = folder / "log.txt"

    def build() -> None:
        done = subprocess.run(
            [
                str(Path(sys.executable).with_name("jupyter-book")),
                "build",
                ".",
                "--path-output",
                str(folder),
                *BUILD_FLAGS,
            ],
            cwd=ROOT,
            env={k: v for k, v in os.environ.items() if not k.startswith(("COV_", "COVERAGE_"))},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            check=False,
        )
        log.write_text(f"{done.returncode}\n{done.stdout}", encoding="utf-8")

    once(folder, build)
    code, _, text = log.read_text(encoding="utf-8").partition("\n")
    built = Built(int(code), text, folder / "_build" / "html")
    assert built.code == 0, f"the book does not build:\n{text[-6000:]}"
    return built


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of an installed Chromium; skipped where none can be had, but never in CI."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if found:
        return found
    message = "no Chromium: apt-get install chromium, or set CHROMIUM to its path"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture(scope="session")
def site(built_book: Built) -> Iterator[str]:
    """Address of the built book, served on loopback."""
    handler = functools.partial(_Handler, directory=str(built_book.html))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Browser]:
    """An installed Chromium; nothing is downloaded."""
    with sync_playwright() as driver:
        # Without its sandbox only as root, as in a container, where there is none to be had.
        arguments = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        browser = driver.chromium.launch(executable_path=chromium, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def watched(browser: Browser) -> Iterator[Watched]:
    """A new page on a wide screen."""
    context = browser.new_context(viewport=WIDE)
    yield Watched(context.new_page())
    context.close()
