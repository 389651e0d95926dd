"""An administrator watches; an ordinary account is told nothing."""
import re
import secrets

from admin import Admin
from attune import administrator, report, sign_up
from playwright.sync_api import expect
from stage import play


def scenario(stage):
    admin = administrator()
    refusal(stage, admin)
    dashboard = Admin(stage.window("admin").page).sign_in(admin).expect_dashboard()
    overview(dashboard)
    security(dashboard)
    analytics(dashboard)


def refusal(stage, admin):
    """Who is no administrator is told so, and nothing of an administrator's data comes to the page at all."""
    eve = sign_up("Eve")
    window = stage.window("eve")
    received = []
    window.page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: received.append(str(frame))))
    window.page.on("response", lambda response: response.url.endswith((".json", "/api/query")) and received.append(response.text()))
    for place in ("", "#users", "#security"):
        page = Admin(window.page)
        if place == "":
            page.sign_in(eve)
        else:
            window.page.goto(f"{window.url}/admin{place}")
            window.page.reload()
        expect(window.page.get_by_role("heading", name="This page is for administrators")).to_be_visible()
        expect(window.page.get_by_role("navigation", name="Sections")).to_have_count(0)
    told = "\n".join(received)
    assert eve.name in told, "the page was told nothing, not even who has signed in"
    for secret in ("activeUsers", "storageUsed", "activeSecurityLevel", "bySeverity", admin.email, "admin:", "security:"):
        assert secret not in told, f"an ordinary account's page was told {secret}"
    window.page.get_by_role("button", name="Sign out").click()
    expect(window.page.get_by_role("button", name="Sign in")).to_be_visible()


def overview(dashboard):
    """The numbers move when something happens, by themselves."""
    messages = dashboard.number("Messages sent")
    clients, therapists = dashboard.number("Clients"), dashboard.number("Therapists")
    ann, ben = sign_up("Ann", "therapist"), sign_up("Ben", "client")
    for number in range(3):
        ann.send(f"number {number}", ben)
    dashboard.expect_tile("Messages sent", messages + 3)
    dashboard.expect_tile("Clients", clients + 1)
    dashboard.expect_tile("Therapists", therapists + 1)
    dashboard.expect_at_least("Active users", 3)
    expect(dashboard.tile("Response time")).to_have_text(re.compile(r"[1-9]"))
    expect(dashboard.tile("Storage used")).to_have_text(re.compile(r"^[\d.]+ MB$"))

    # Each number says what it means.
    dashboard.page.get_by_role("button", name="What is “Active users”?").focus()
    expect(dashboard.page.get_by_role("tooltip")).to_contain_text("30 minutes")
    dashboard.page.keyboard.press("Escape")
    expect(dashboard.page.get_by_role("tooltip")).to_have_count(0)

    # Charts can be read with the keyboard, and as tables.
    for timeframe, buckets in (("Day", 24), ("Week", 7), ("Month", 30)):
        dashboard.choose_timeframe(timeframe)
        if timeframe == "Day":
            dashboard.page.get_by_text("Show as table").first.click()
        expect(dashboard.page.get_by_role("table", name="Activity").get_by_role("row")).to_have_count(buckets + 1)
    reader = dashboard.page.get_by_role("slider", name="Messages: read the chart")
    reader.focus()
    dashboard.page.keyboard.press("End")
    expect(reader).to_have_attribute("aria-valuetext", re.compile(r"so far: Messages [1-9]"))


def security(dashboard):
    """Events come in as they are reported; filters leave some out; each can be opened."""
    token = secrets.token_hex(4)
    page = dashboard.page
    dashboard.show("Security")
    expect(dashboard.events.first).to_be_visible()
    report(type="door_opened", severity="low", details=f"The door {token}.", source="urn:door", ip="192.0.2.7")
    expect(dashboard.event(f"The door {token}.")).to_have_count(1)
    expect(dashboard.event(f"The door {token}.")).to_contain_text("Low")
    # Somebody's rules may raise the level, and nothing but time lowers it.
    report(type="fire_alarm", severity="high", details=f"The fire {token}.", source="urn:fire", context={"floor": 3})
    expect(dashboard.events.first).to_contain_text(f"The fire {token}.")
    expect(page.get_by_role("group", name="Security level")).to_contain_text(re.compile("Elevated|High|Critical"))

    dashboard.filter.get_by_label("Severity").select_option("High")
    expect(dashboard.event(f"The door {token}.")).to_have_count(0)
    expect(dashboard.event(f"The fire {token}.")).to_have_count(1)
    dashboard.filter.get_by_label("Type").fill("door_opened")
    dashboard.filter.get_by_label("Type").press("Enter")
    expect(page.get_by_text("No event matches the filters.")).to_be_visible()
    dashboard.filter.get_by_label("Severity").select_option("All severities")
    expect(dashboard.event(f"The door {token}.")).to_have_count(1)
    # What does not match does not come in, what does match does.
    report(type="fire_alarm", severity="high", details=f"Again the fire {token}.", source="urn:fire")
    report(type="door_opened", severity="low", details=f"Again the door {token}.", source="urn:door")
    expect(dashboard.event(f"Again the door {token}.")).to_have_count(1)
    expect(dashboard.event(f"Again the fire {token}.")).to_have_count(0)
    page.get_by_role("button", name="Clear filters").click()
    expect(dashboard.event(f"Again the fire {token}.")).to_have_count(1)

    # A table that is paused holds new events back, and says so.
    page.get_by_role("button", name="Pause").click()
    report(type="fire_alarm", severity="medium", details=f"No more fire {token}.", source="urn:fire")
    page.get_by_role("button", name=re.compile(r"^\d+ new events?$")).click()
    expect(dashboard.event(f"No more fire {token}.")).to_have_count(1)

    dashboard.event(f"The fire {token}.").get_by_role("button", name="fire_alarm").click()
    dialog = page.get_by_role("dialog", name="fire_alarm")
    for text in (f"The fire {token}.", "urn:fire", '"floor": 3'):
        expect(dialog).to_contain_text(text)
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)


def analytics(dashboard):
    dashboard.show("Analytics")
    for timeframe in ("Day", "Week", "Month"):
        dashboard.choose_timeframe(timeframe)
        dashboard.expect_at_least("New users", 2)
        dashboard.expect_at_least("Active users", 2)
    expect(dashboard.page.get_by_role("region", name="Retention", exact=True).get_by_role("row")).not_to_have_count(0)


play(scenario)
