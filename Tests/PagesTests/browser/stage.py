"""What the scenarios stand on: a browser, its windows, and what goes wrong in them.

A scenario is a function that is given a Stage. It waits for what people see, and never for time to pass.
"""
import os
import re
import tempfile
from contextlib import contextmanager

from playwright.sync_api import ConsoleMessage, Page, Request, Response, expect, sync_playwright

# How long a page may take to show something, in milliseconds: test machines are slow.
PATIENCE = 20_000
PHONE = (390, 844)
WIDE = (1440, 900)

URL = os.environ["PAGES_URL"]

REPORT_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", event =>
    console.error(`securitypolicyviolation: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`))
"""


class Window:
    """A window of somebody's own browser: nothing is shared with other windows but what `tab` opens."""

    def __init__(self, stage, name, size=WIDE, scheme="light", url=URL, state=None):
        self.stage = stage
        self.name = name
        self.url = url
        # A pattern of problems that this window has been told to expect.
        self.expected = None
        self.context = stage.browser.new_context(
            viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, reduced_motion="reduce", locale="en-GB",
            timezone_id="Europe/Berlin", storage_state=state)
        self.context.set_default_timeout(PATIENCE)
        self.context.add_init_script(REPORT_VIOLATIONS)
        self.page = self.tab()

    def tab(self) -> Page:
        """Opens another page of the same browser, as a new tab."""
        page = self.context.new_page()
        page.on("console", self._console)
        page.on("pageerror", lambda error: self._problem(f"uncaught: {error}"))
        page.on("requestfailed", self._failed)
        page.on("request", self._request)
        page.on("response", self._response)
        page.on("crash", lambda _: self._problem("the page has crashed"))
        return page

    def expects(self, pattern):
        """From now on problems that match are none."""
        self.expected = re.compile(pattern)

    def _problem(self, text):
        if not (self.expected and self.expected.search(text)):
            self.stage.problems.append(f"{self.name}: {text}")

    def _console(self, message: ConsoleMessage):
        if message.type in ("error", "warning"):
            self._problem(f"console {message.type}: {message.text}")

    def _failed(self, request: Request):
        # Leaving a page ends its requests.
        if request.failure != "net::ERR_ABORTED":
            self._problem(f"{request.url}: {request.failure}")

    def _request(self, request: Request):
        if not request.url.startswith((self.url, "data:", "blob:")):
            self._problem(f"{request.url} is somewhere else")

    def _response(self, response: Response):
        if response.status >= 400:
            self._problem(f"{response.url}: status {response.status}")


class Stage:
    def __init__(self, browser):
        self.browser = browser
        self.windows = []
        # What no window may have: errors in its console, refused requests, violations of the Content-Security-Policy.
        self.problems = []

    def window(self, name, **options) -> Window:
        window = Window(self, name, **options)
        self.windows.append(window)
        return window

    def pictures(self):
        """Keeps what the windows show, for whoever reads the failure."""
        folder = tempfile.mkdtemp(prefix="attune-pages-")
        for window in self.windows:
            for number, page in enumerate(window.context.pages):
                path = f"{folder}/{window.name}-{number}.png"
                try:
                    page.screenshot(path=path, timeout=5000)
                    print(f"{window.name} at {page.url}: {path}")
                except Exception as error:
                    print(f"{window.name}: no picture: {error}")


@contextmanager
def browser():
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=os.environ["PAGES_CHROMIUM"], args=arguments)
        try:
            yield browser
        finally:
            browser.close()


def play(scenario):
    """Runs a scenario. Ends the program with an error, and pictures, if it fails or a window had a problem."""
    expect.set_options(timeout=PATIENCE)
    with browser() as chromium:
        stage = Stage(chromium)
        try:
            scenario(stage)
            assert not stage.problems, "problems in the windows"
        except BaseException:
            stage.pictures()
            for problem in stage.problems:
                print(problem)
            raise
