"""An administrator removes a user who has a window open."""
import secrets

from admin import Admin
from attune import administrator, sign_up
from chat import Chat
from playwright.sync_api import expect
from stage import play


def scenario(stage):
    token = secrets.token_hex(4)
    admin, ann, ben = administrator(), sign_up("Ann"), sign_up(f"Ben {token}")
    ben.send("I wrote this", ann)
    anns = Chat(stage.window("ann").page).sign_in(ann)
    bens = Chat(stage.window("ben").page).sign_in(ben).open("Ann")
    anns.open(ben.name)

    dashboard = Admin(stage.window("admin").page).sign_in(admin).expect_dashboard()
    page = dashboard.page
    dashboard.show("Users")
    expect(dashboard.user(ben.name)).to_contain_text(ben.email)
    page.get_by_role("searchbox", name="Find users").fill(token)
    expect(dashboard.user(ben.name)).to_be_visible()
    expect(page.get_by_role("button", name="Remove")).to_have_count(1)

    # Nothing happens by accident: the dialog begins with Cancel, Escape leaves it, and a box must be checked.
    dialog = page.get_by_role("dialog", name=f"Remove {ben.name}?")
    dashboard.remove_button(ben.name).click()
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(dashboard.remove_button(ben.name)).to_be_focused()
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("button", name="Remove")).to_be_disabled()
    dialog.get_by_role("checkbox").check()
    dialog.get_by_role("button", name="Remove").click()

    expect(page.get_by_role("status").filter(has_text=f"{ben.name} was removed.")).to_be_visible()
    expect(dashboard.user(ben.name)).to_have_count(0)
    page.get_by_role("searchbox", name="Find users").fill("")
    expect(dashboard.user("Ann").first).to_be_visible()
    expect(dashboard.user(ben.name)).to_have_count(0)

    # His window has lost its access; she reads on, and finds no name and no field to write to him.
    bens.expect_signed_out()
    anns.expect_open("Removed user")
    expect(anns.conversation("Removed user")).to_be_visible()
    expect(anns.message("I wrote this")).to_be_visible()
    expect(anns.page.get_by_text(ben.name)).to_have_count(0)
    expect(anns.field).to_be_hidden()
    anns.find(token)
    expect(anns.page.get_by_text("Nobody of that name.")).to_be_visible()

    # He cannot sign in again.
    bens.page.get_by_label("E-mail address").fill(ben.email)
    bens.page.get_by_label("Password").fill(ben.password)
    bens.page.get_by_role("button", name="Sign in").click()
    expect(bens.page.get_by_role("alert")).to_contain_text("wrong")

    # One's own account has no such button, and is safe.
    page.get_by_role("searchbox", name="Find users").fill(admin.name)
    expect(dashboard.user(admin.name).first).to_contain_text("You")

    # Who did it is a security event.
    dashboard.show("Security")
    expect(dashboard.event("user_deleted").first).to_be_visible()


play(scenario)
