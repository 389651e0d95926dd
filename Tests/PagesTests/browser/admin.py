"""The administrator's page, by what people see and hear of it."""
import re

from playwright.sync_api import Locator, Page, expect
from stage import URL


class Admin:
    def __init__(self, page: Page, url=URL):
        self.page = page
        page.goto(f"{url}/admin")

    def sign_in(self, person):
        self.page.get_by_label("E-mail address").fill(person.email)
        self.page.get_by_label("Password").fill(person.password)
        self.page.get_by_role("button", name="Sign in").click()
        return self

    def expect_dashboard(self):
        expect(self.page.get_by_role("heading", name="Overview", level=1)).to_be_visible()
        return self

    def show(self, section):
        """Goes to a section: Overview, Security, Analytics, Users."""
        self.page.get_by_role("navigation", name="Sections").get_by_role("link", name=section).click()
        heading = self.page.get_by_role("heading", name=section, level=1)
        expect(heading).to_be_visible()
        expect(heading).to_be_focused()

    # Overview and Analytics

    def tile(self, name) -> Locator:
        return self.page.get_by_role("group", name=name, exact=True).locator(".tile-value")

    def expect_tile(self, name, value):
        expect(self.tile(name)).to_have_text(f"{value:,}" if isinstance(value, int) else value)

    def number(self, name) -> int:
        """A tile's number, once it is there."""
        expect(self.tile(name)).to_have_text(re.compile(r"^[\d,]+$"))
        return int(self.tile(name).inner_text().replace(",", ""))

    def expect_at_least(self, name, value):
        """Waits until a tile shows so many, or more."""
        self.page.wait_for_function(
            "([tile, value]) => Number(tile.textContent.replaceAll(',', '')) >= value",
            arg=[self.tile(name).element_handle(), value])

    def choose_timeframe(self, name):
        self.page.get_by_role("group", name="Timeframe").get_by_text(name, exact=True).click()
        expect(self.page.get_by_role("radio", name=name)).to_be_checked()

    # Security

    @property
    def events(self) -> Locator:
        """The rows of the table, without its head."""
        return self.page.get_by_role("table", name="Security events").get_by_role("row").filter(has=self.page.get_by_role("button"))

    def event(self, text) -> Locator:
        """The rows with just this text in a cell."""
        return self.events.filter(has=self.page.get_by_text(text, exact=True))

    @property
    def filter(self) -> Locator:
        return self.page.get_by_role("search", name="Filter events")

    # Users

    def user(self, name) -> Locator:
        return self.page.get_by_role("table", name="Users").get_by_role("row").filter(has=self.page.get_by_text(name, exact=True))

    def remove_button(self, name) -> Locator:
        return self.page.get_by_role("button", name=f"Remove {name}", exact=True)
