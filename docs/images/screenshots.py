"""Usage: script/screenshots
Runs `script/server --demo` in a folder that is thrown away, and takes pictures of both pages.
"""
import os
import random
import re
import socket
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

IMAGES = Path(__file__).resolve().parent
SERVER = IMAGES.parent.parent / "script/server"
WIDE = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}
PASSWORD = "attune-demo"


def free_ports(count):
    """Neighbours that nobody listens on."""
    while True:
        first = random.randrange(10_000, 32_000)
        try:
            for port in range(first, first + count):
                with socket.socket() as listener:
                    listener.bind(("127.0.0.1", port))
            return range(first, first + count)
        except OSError:
            continue


@contextmanager
def demo():
    """A demo installation that is ready; gives its address."""
    names = ["PORT", "INGEST_HTTP_PORT", "INGEST_TCP_PORT", "INGEST_SYSLOG_PORT", "METRICS_PORT"]
    settings = {f"ATTUNE_{name}": str(port) for name, port in zip(names, free_ports(len(names)))}
    with tempfile.TemporaryDirectory(prefix="attune-screenshots-") as folder:
        # For root the cluster has an owner of its own, who has to find the way to it.
        os.chmod(folder, 0o711)
        environment = os.environ | settings | {"ATTUNE_DATA_DIR": folder + "/data"}
        with subprocess.Popen([SERVER, "--demo"], env=environment, stdout=subprocess.PIPE, text=True) as server:
            try:
                ready = next((line for line in server.stdout if line.startswith("Attune is ready: ")), None)
                assert ready, "the server has ended"
                yield ready.split(": ", 1)[1].strip()
            finally:
                server.terminate()
                server.wait()


def sign_in(page, address, email):
    page.goto(address)
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def chat(page, url):
    sign_in(page, f"{url}/chat", "thea@demo.example")
    conversations = page.get_by_role("navigation", name="Conversations")
    # Its newest message is unread until somebody looks.
    conversations.get_by_role("link").filter(has_text="Jonas Weber").click()
    expect(page.get_by_role("log", name="Messages").get_by_text("Read", exact=True)).to_be_visible()
    expect(conversations.get_by_role("listitem").filter(has_text="Jonas Weber").get_by_text("unread")).to_be_hidden()


def admin(page, url):
    sign_in(page, f"{url}/admin", "admin@demo.example")
    expect(page.get_by_role("group", name="Therapists").locator(".tile-value")).to_have_text("8")
    expect(page.get_by_role("group", name="Response time").locator(".tile-value")).to_have_text(re.compile("[1-9]"))
    page.get_by_role("group", name="Timeframe").get_by_text("Month", exact=True).click()
    expect(page.get_by_text("Days begin at midnight UTC.")).to_be_visible()
    page.evaluate("scrollTo(0, 0)")


def main():
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with demo() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=arguments)
        for take in (chat, admin):
            for kind, size, scheme in (("wide", WIDE, "light"), ("phone", PHONE, "light"), ("dark", WIDE, "dark")):
                context = browser.new_context(
                    viewport=size, color_scheme=scheme, reduced_motion="reduce", locale="en-GB", timezone_id="UTC",
                    device_scale_factor=2 if size is PHONE else 1)
                page = context.new_page()
                path = IMAGES / f"{take.__name__}-{kind}.png"
                take(page, url)
                page.screenshot(path=path)
                context.close()
                # 256 colours are enough for these.
                subprocess.run(["pngquant", "--force", "--ext", ".png", "--strip", "256", path], check=True)
                print(f"{path.relative_to(SERVER.parent.parent)}: {path.stat().st_size // 1000} kB")
        browser.close()


if __name__ == "__main__":
    main()
