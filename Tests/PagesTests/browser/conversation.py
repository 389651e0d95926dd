"""Two people sign up and talk."""
import re
import secrets

from attune import sign_up
from chat import Chat
from playwright.sync_api import expect
from stage import play


class Line:
    """What the server says to a page goes through here, and can be held back for a while."""

    def __init__(self, page):
        self.is_held = False
        self.waiting = []
        page.route_web_socket(re.compile("/sync$"), self._connect)

    def _connect(self, page_side):
        server_side = page_side.connect_to_server()
        page_side.on_message(server_side.send)
        self.page_side = page_side
        server_side.on_message(self._receive)

    def _receive(self, message):
        self.waiting.append(message)
        self._pass_on()

    def _pass_on(self):
        while self.waiting and not self.is_held:
            self.page_side.send(self.waiting.pop(0))

    def hold(self):
        self.is_held = True

    def release(self):
        self.is_held = False
        self._pass_on()


def scenario(stage):
    token = secrets.token_hex(4)
    ann_name, ben_name = f"Ann {token}", f"Ben {token}"
    anns, bens = stage.window("ann"), stage.window("ben")
    line = Line(anns.page)
    ann, ben = Chat(anns.page), Chat(bens.page)
    ann.sign_up(ann_name, "Therapist")
    ben.sign_up(ben_name)
    expect(ben.page.get_by_text("No conversations yet")).to_be_visible()

    # Ann finds Ben, who has nothing open yet, and writes first.
    ann.find(ben_name).get_by_role("link", name=ben_name).click()
    ann.expect_open(ben_name)
    ann.send("Hello Ben")
    ben.expect_unread(ann_name, 1)
    ann.send("How are you?")
    ben.expect_unread(ann_name, 2)
    expect(ben.page).to_have_title(re.compile(r"^\(2\) "))
    expect(ann.message("How are you?")).to_contain_text("Sent")

    # Ben reads, and Ann sees that he has.
    ben.open(ann_name)
    ben.expect_messages("Hello Ben", "How are you?")
    ben.expect_unread(ann_name, 0)
    expect(ben.page).to_have_title(re.compile(r"^Messages"))
    expect(ann.message("How are you?")).to_contain_text("Read")

    # Each sees at once what the other writes. What is in front of one is read.
    ben.send("Well, thank you!\nAnd you?")
    expect(ann.message("Well, thank you! And you?")).to_be_visible()
    expect(ben.message("Well, thank you! And you?")).to_contain_text("Read")
    ann.expect_unread(ben_name, 0)

    # While the answer is on its way the message is there already, and says so; then it is there once.
    line.hold()
    ann.send("Fine!")
    expect(ann.message("Fine!")).to_contain_text("Sending…")
    expect(ben.message("Fine!")).to_be_visible()
    expect(ann.message("Fine!")).to_contain_text("Sending…")
    line.release()
    expect(ann.message("Fine!")).not_to_contain_text("Sending…")
    everything = ["Hello Ben", "How are you?", "Well, thank you!", "Fine!"]
    ann.expect_messages(*everything)
    ben.expect_messages(*everything)

    older_pages(stage)


def older_pages(stage):
    """Who scrolls up is given older messages, down to the first one, and what is read stays where it is."""
    cleo, dan = sign_up("Cleo"), sign_up("Dan")
    ids = [cleo.send(f"message {number}", dan) for number in range(100)]
    dan.call("mutation", "messages:markAsRead", messageIds=ids[:-5])
    chat = Chat(stage.window("dan").page).sign_in(dan)
    chat.expect_unread("Cleo", 5)
    chat.open("Cleo")
    expect(chat.message("message 99")).to_be_in_viewport()
    chat.expect_unread("Cleo", 0)
    expect(chat.message("message 0")).to_have_count(0)
    chat.wait_for_older(lambda: chat.log.evaluate("log => log.scrollTop = 0"))
    # How many pages come at once depends on how fast they come.
    for _ in range(20):
        if chat.message("message 0").count() > 0:
            break
        chat.log.evaluate("log => log.scrollTop = 0")
        chat.page.wait_for_timeout(200)
    chat.log.evaluate("log => log.scrollTop = 0")
    expect(chat.message("message 0")).to_be_in_viewport()


play(scenario)
