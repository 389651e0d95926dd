"""Both pages in all their states."""
from admin import Admin
from attune import administrator, report, sign_up
from chat import Chat
from inspection import check_accessibility, check_focus, check_width
from playwright.sync_api import expect


def tour(stage, size, schemes):
    """Looks at every state in these colour schemes."""
    def look(page, state):
        check_width(page, state)
        check_focus(page, state)
        for scheme in schemes:
            check_accessibility(page, state, scheme)

    chat(stage, size, look)
    dashboard(stage, size, look)


def chat(stage, size, look):
    ann, ben, cleo = sign_up("Ann", "therapist"), sign_up("Ben Benson"), sign_up("Cleo")
    for number in range(12):
        ben.send(f"message {number}\nwith a second line", ann)
        ann.send(f"answer {number}", ben)
    cleo.send("Hello Ann", ann)

    page = stage.window(f"chat-{size[0]}", size=size).page
    chat = Chat(page)
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    look(page, "sign in")
    page.get_by_role("button", name="Create an account").click()
    expect(page.get_by_role("button", name="Sign up")).to_be_visible()
    look(page, "sign up")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("E-mail address").fill(ann.email)
    page.get_by_label("Password").fill("wrong password")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    look(page, "wrong password")

    chat.sign_in(ann)
    chat.expect_unread("Cleo", 1)
    look(page, "inbox")
    chat.open("Ben Benson")
    expect(chat.message("answer 0")).to_be_in_viewport()
    look(page, "conversation")
    page.goto(page.url.split("#")[0] + f"#{sign_up('Dan').id}")
    chat.expect_open("Dan")
    look(page, "conversation that has not begun")
    page.evaluate("location.hash = ''")
    expect(chat.find("Ben Benson").get_by_role("link").first).to_be_visible()
    look(page, "people")
    chat.find("nobody has this name")
    expect(page.get_by_text("Nobody of that name.")).to_be_visible()
    look(page, "nobody found")
    page.evaluate("location.hash = 'conversation_unknown'")
    expect(page.get_by_text("There is no such conversation")).to_be_visible()
    look(page, "no such conversation")

    lonely = Chat(stage.window(f"lonely-{size[0]}", size=size).page).sign_in(sign_up("Lonely"))
    expect(lonely.page.get_by_text("No conversations yet")).to_be_visible()
    look(lonely.page, "empty inbox")


def dashboard(stage, size, look):
    report(type="door_opened", severity="critical", details="The door was opened.", ip="192.0.2.7", context={"door": "front"})

    eves = Admin(stage.window(f"eve-{size[0]}", size=size).page).sign_in(sign_up("Eve"))
    expect(eves.page.get_by_role("heading", name="This page is for administrators")).to_be_visible()
    look(eves.page, "refusal")

    admin = Admin(stage.window(f"admin-{size[0]}", size=size).page).sign_in(administrator()).expect_dashboard()
    page = admin.page
    admin.number("Messages sent")
    look(page, "overview")
    page.get_by_text("Show as table").first.click()
    expect(page.get_by_role("table", name="Activity")).to_be_visible()
    page.get_by_role("button", name="What is “Messages sent”?").focus()
    look(page, "overview with a table")

    admin.show("Security")
    # Some rows are as good as fifty, and looked through much faster.
    admin.filter.get_by_label("Type").fill("door_opened")
    admin.filter.get_by_label("Type").press("Enter")
    expect(admin.event("The door was opened.").first).to_be_visible()
    expect(admin.events.filter(has_text="authn_login_success")).to_have_count(0)
    look(page, "security")
    admin.event("The door was opened.").first.get_by_role("button").click()
    expect(page.get_by_role("dialog", name="door_opened")).to_be_visible()
    look(page, "event")
    page.keyboard.press("Escape")
    admin.filter.get_by_label("Type").fill("nothing_has_this_type")
    admin.filter.get_by_label("Type").press("Enter")
    expect(page.get_by_text("No event matches the filters.")).to_be_visible()
    look(page, "no events")

    admin.show("Analytics")
    admin.number("Messages")
    look(page, "analytics")

    admin.show("Users")
    expect(admin.user("Eve").first).to_be_visible()
    look(page, "users")
    admin.remove_button("Eve").first.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    look(page, "removal")
    page.keyboard.press("Escape")
    page.get_by_role("searchbox", name="Find users").fill("nobody has this name")
    expect(page.get_by_text("No user has this in their name.")).to_be_visible()
    look(page, "no users")
