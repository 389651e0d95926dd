"""Whoever signs out is out in every window of that sign-in; other sign-ins go on."""
from attune import sign_up
from chat import Chat
from playwright.sync_api import expect
from stage import play


def scenario(stage):
    ann, ben = sign_up("Ann"), sign_up("Ben")
    ben.send("Hello Ann", ann)

    # Two tabs of one browser, a copy of that browser which knows nothing of the tabs, and another sign-in.
    desk = stage.window("desk")
    first = Chat(desk.page).sign_in(ann).open("Ben")
    second = Chat(desk.tab()).open("Ben")
    copy = stage.window("copy", state=desk.context.storage_state())
    third = Chat(copy.page).open("Ben")
    phone = Chat(stage.window("phone").page).sign_in(ann).open("Ben")

    first.sign_out()
    for chat in (first, second, third):
        chat.expect_signed_out()
        expect(chat.page.get_by_text("Hello Ann")).to_have_count(0)
    expect(third.page.get_by_text("Your session has ended.")).to_be_visible()

    # What comes now reaches the other sign-in alone.
    ben.send("Are you there?", ann)
    expect(phone.message("Are you there?")).to_be_visible()
    for chat in (first, second, third):
        expect(chat.page.get_by_text("Are you there?")).to_have_count(0)
        chat.page.reload()
        chat.expect_signed_out()

    # Who signs in again in one tab is there in the other one too.
    first.sign_in(ann)
    second.expect_signed_in()
    second.open("Ben")
    expect(second.message("Are you there?")).to_be_visible()


play(scenario)
