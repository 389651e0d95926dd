"""What must hold for each page in each state: accessibility, focus, width."""
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

RULES = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]},
    "resultTypes": ["violations"],
}

# The element with the focus: what tells it from others, where it is, and whether it is seen to have the focus.
FOCUSED = """() => {
    let element = document.activeElement
    if (!element || element === document.body || element.matches("dialog")) return null
    window.focusOrder ??= new Map()
    if (!window.focusOrder.has(element)) window.focusOrder.set(element, window.focusOrder.size)
    const style = getComputedStyle(element)
    const box = element.getBoundingClientRect()
    const isOutlined = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0
    return {
        number: window.focusOrder.get(element),
        what: `${element.tagName.toLowerCase()} "${(element.ariaLabel ?? element.innerText ?? element.name ?? "").slice(0, 40)}"`,
        precedes: window.lastFocused && !!(element.compareDocumentPosition(window.lastFocused) & Node.DOCUMENT_POSITION_FOLLOWING),
        isSeen: isOutlined || style.boxShadow !== "none",
        isThere: box.width > 0 && box.height > 0 && box.right > 0 && box.left < innerWidth,
        previous: (window.lastFocused = element) && null,
    }
}"""

# So that the next Tab leads to the first control, of the dialog if one is open.
FOCUS_BEGINNING = """() => {
    window.focusOrder = new Map()
    window.lastFocused = null
    const beginning = document.querySelector("dialog[open]") ?? document.body
    beginning.tabIndex = -1
    beginning.focus()
    beginning.removeAttribute("tabindex")
}"""

# Colours that are still changing are nobody's choice. What turns for ever is left alone.
REST = """() => Promise.all(document.getAnimations()
    .filter(animation => animation.effect.getComputedTiming().iterations !== Infinity).map(animation => animation.finished.catch(() => {})))"""


def check_accessibility(page: Page, state: str):
    """No violation of WCAG 2.2 A and AA, contrast and names of controls included, nor of axe's best practices."""
    page.evaluate(f"new Promise(requestAnimationFrame).then({REST}).then(() => {{}})")
    # Evaluated by the browser's own tools, to which the page's Content-Security-Policy does not apply.
    results = Axe().run(page, options=RULES)
    assert results.violations_count == 0, f"{state}: {results.generate_report()}"


def check_focus(page: Page, state: str, at_least: int):
    """Tab walks through the page's controls in reading order, each once, and one sees where it is."""
    page.evaluate(FOCUS_BEGINNING)
    seen = []
    while True:
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        # Behind the last control the focus leaves the page, or begins anew.
        if focused is None or focused["number"] < len(seen):
            break
        assert focused["isSeen"], f"{state}: one does not see that {focused['what']} has the focus"
        assert focused["isThere"], f"{state}: {focused['what']} has the focus and cannot be seen"
        assert not focused["precedes"], f"{state}: after {seen[-1]} the focus goes back to {focused['what']}"
        seen.append(focused["what"])
    assert len(seen) >= at_least, f"{state}: Tab reaches only {seen}"


def check_width(page: Page, state: str):
    """Nothing makes the page wider than its window; who reads does not have to scroll sideways."""
    width, room = page.evaluate("() => [document.documentElement.scrollWidth, innerWidth]")
    assert width <= room, f"{state}: the page is {width} wide in a window of {room}"
