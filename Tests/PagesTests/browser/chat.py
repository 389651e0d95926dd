"""The chat page, by what people see and hear of it."""
import re
import secrets

from attune import PASSWORD
from playwright.sync_api import Locator, Page, expect
from stage import URL


class Chat:
    def __init__(self, page: Page, url=URL):
        self.page = page
        page.goto(f"{url}/chat")

    def sign_up(self, name, account_type="Client"):
        """Fills in the form for a new account; gives its address."""
        email = f"{secrets.token_hex(6)}@example.org"
        self.page.get_by_role("button", name="Create an account").click()
        self.page.get_by_label("Name").fill(name)
        self.page.get_by_label("E-mail address").fill(email)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("radio", name=account_type).check()
        self.page.get_by_role("button", name="Sign up").click()
        self.expect_signed_in()
        return email

    def sign_in(self, person):
        self.page.get_by_label("E-mail address").fill(person.email)
        self.page.get_by_label("Password").fill(person.password)
        self.page.get_by_role("button", name="Sign in").click()
        self.expect_signed_in()
        return self

    def sign_out(self):
        self.page.get_by_role("button", name="Sign out").click()

    def expect_signed_in(self):
        expect(self.page.get_by_role("button", name="Sign out")).to_be_visible()

    def expect_signed_out(self):
        expect(self.page.get_by_role("button", name="Sign in")).to_be_visible()
        expect(self.page.get_by_role("region", name="Inbox")).to_have_count(0)

    # Inbox

    def find(self, text) -> Locator:
        """Looks for people; gives the list of those who were found."""
        self.page.get_by_role("searchbox", name="Find people").fill(text)
        return self.page.get_by_role("list", name="People")

    @property
    def conversations(self) -> Locator:
        return self.page.get_by_role("navigation", name="Conversations").get_by_role("listitem")

    def conversation(self, name) -> Locator:
        return self.conversations.filter(has=self.page.get_by_text(name, exact=True))

    def expect_unread(self, name, count):
        row = self.conversation(name)
        expect(row).to_be_visible()
        if count:
            expect(row).to_contain_text(f"{count} unread")
        else:
            expect(row.get_by_text("unread")).to_be_hidden()

    def open(self, name):
        """Opens the conversation with somebody who is in the inbox."""
        self.conversation(name).get_by_role("link").click()
        return self.expect_open(name)

    def expect_open(self, name):
        expect(self.page.get_by_role("region", name="Conversation").get_by_role("heading", name=name, level=2)).to_be_visible()
        return self

    # Conversation

    @property
    def log(self) -> Locator:
        return self.page.get_by_role("log", name="Messages")

    def message(self, text) -> Locator:
        return self.log.get_by_role("listitem").filter(has=self.page.get_by_text(text, exact=True))

    @property
    def field(self) -> Locator:
        return self.page.get_by_role("textbox", name="Message", exact=True)

    def send(self, text):
        self.field.fill(text)
        self.field.press("Enter")
        expect(self.field).to_have_value("")

    def expect_messages(self, *texts):
        """Just these, in this order, each once."""
        rows = self.log.get_by_role("listitem").filter(has=self.page.locator("time"))
        expect(rows).to_contain_text([re.compile(re.escape(text)) for text in texts])
        expect(rows).to_have_count(len(texts))

    def wait_for_older(self, scroll):
        """Scrolls, until older messages have come; what was on top is still where one reads."""
        rows = self.log.get_by_role("listitem").filter(has=self.page.locator("time"))
        count, top = rows.count(), rows.first.get_attribute("data-key")
        scroll()
        expect(rows.nth(count)).to_be_attached()
        expect(self.log.locator(f"[data-key={top}]")).to_be_in_viewport()

    def expect_connection(self, is_there):
        line = self.page.get_by_role("status").filter(has_text="Reconnecting…")
        if is_there:
            expect(line.get_by_text("Reconnecting…")).to_be_hidden()
        else:
            expect(line.get_by_text("Reconnecting…")).to_be_visible()
