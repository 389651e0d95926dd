"""What people and programs write is text, whatever it is, and breaks no layout."""
import secrets

from admin import Admin
from attune import administrator, report, sign_up
from chat import Chat
from inspection import check_width
from playwright.sync_api import expect
from stage import PHONE, WIDE, play

MARKUP = '<img src=x onerror="document.title=1"><script>alert(1)</script><b>bold</b>&amp;'
RIGHT_TO_LEFT = "\u202egnp.exe \u2067abc\u200f"
LONG_WORD = "W" * 500
EMOJI = "👩‍👩‍👧‍👦🏳️‍🌈" * 20
LINES = "one\ntwo\n\n\nthree"
COMBINING = "Z" + "\u0351\u0301\u0327" * 60
URL_LIKE = "javascript:alert(1) https://evil.example/" + "a" * 300
TEXTS = [MARKUP, RIGHT_TO_LEFT, LONG_WORD, EMOJI, LINES, COMBINING, URL_LIKE]


def scenario(stage):
    token = secrets.token_hex(4)
    ann = sign_up(f"Ann {token}")
    for number, text in enumerate(TEXTS):
        line = text.replace("\n", " ")
        other = sign_up(f"{number} {token} {line}"[:180])
        for content in TEXTS:
            other.send(content, ann)
        # Types have at most 128 bytes, sources twice as many.
        kind = line.encode()[:128].decode(errors="ignore")
        report(type=kind, severity="low", details=f"{token} {text}", source=line[:60], context={text[:100]: text})

    for size in (PHONE, WIDE):
        chat = Chat(stage.window(f"chat-{size[0]}", size=size).page).sign_in(ann)
        page = chat.page
        expect(chat.conversations).to_have_count(len(TEXTS))
        check_width(page, f"the inbox at {size[0]}")
        check_text(page)
        for number in range(len(TEXTS)):
            chat.conversations.get_by_role("link").nth(number).click()
            expect(chat.log.get_by_role("listitem").filter(has=page.locator("time"))).to_have_count(len(TEXTS))
            check_width(page, f"conversation {number} at {size[0]}")
            check_inside(chat.log, f"conversation {number} at {size[0]}")
            check_text(page)
            assert MARKUP in chat.log.inner_text(), "the markup is not there as it was written"
            page.evaluate("location.hash = ''")
        chat.find(token)
        expect(page.get_by_role("list", name="People").get_by_role("listitem")).to_have_count(len(TEXTS))
        check_width(page, f"people at {size[0]}")
        check_text(page)

    for size in (PHONE, WIDE):
        dashboard = Admin(stage.window(f"admin-{size[0]}", size=size).page).sign_in(administrator()).expect_dashboard()
        page = dashboard.page
        dashboard.show("Security")
        expect(dashboard.events.filter(has_text=token)).to_have_count(len(TEXTS))
        check_width(page, f"the events at {size[0]}")
        check_text(page)
        for number in range(len(TEXTS)):
            dashboard.events.filter(has_text=token).nth(number).get_by_role("button").click()
            dialog = page.get_by_role("dialog")
            expect(dialog).to_contain_text(token)
            check_width(page, f"event {number} at {size[0]}")
            check_inside(dialog, f"event {number} at {size[0]}")
            check_text(page)
            page.keyboard.press("Escape")
        dashboard.show("Users")
        page.get_by_role("searchbox", name="Find users").fill(token)
        removals = page.get_by_role("button", name=token)
        expect(removals).to_have_count(len(TEXTS) + 1)
        check_width(page, f"the users at {size[0]}")
        for number in range(len(TEXTS)):
            removals.nth(number).click()
            expect(page.get_by_role("dialog")).to_contain_text(token)
            check_width(page, f"removal {number} at {size[0]}")
            check_inside(page.get_by_role("dialog"), f"removal {number} at {size[0]}")
            check_text(page)
            page.keyboard.press("Escape")


def check_text(page):
    """Nothing that somebody wrote has become an element, nor a way out."""
    made = page.evaluate(
        """() => Array.from(document.querySelectorAll("script:not([src^='assets/']), b, [onerror], img:not([src^='assets/']), a"))
            .filter(element => element.tagName !== "A" || !element.href.startsWith(location.origin))
            .map(element => element.outerHTML)""")
    assert made == [], made


def check_inside(place, state):
    """What is in a place does not stick out of it to the side."""
    outside = place.evaluate(
        """place => place.scrollWidth > place.clientWidth
            ? [`${place.scrollWidth} in ${place.clientWidth}`] : []""")
    assert outside == [], f"{state}: {outside}"


play(scenario)
