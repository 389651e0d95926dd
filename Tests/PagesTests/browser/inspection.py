"""What must hold for each page in each state: accessibility, focus, width."""
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

RULES = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]},
    "resultTypes": ["violations"],
}

# What Tab has to lead to, in the dialog if one is open: of radio buttons the one that is chosen.
CONTROLS = """() => {
    const place = document.querySelector("dialog[open]") ?? document.body
    return Array.from(place.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex='0']"))
        .filter(control => control.checkVisibility() && !control.matches(":disabled, [tabindex='-1']"))
        .filter(control => control.type !== "radio" || control.checked).length
}"""

# So that the next Tab leads to the first control.
BEGINNING = """() => {
    window.focusOrder = new Map()
    window.lastFocused = null
    const place = document.querySelector("dialog[open]") ?? document.body
    place.tabIndex = -1
    place.focus()
    place.removeAttribute("tabindex")
}"""

# The element with the focus: its number in the order in which elements got it, what it is, and how it is to be seen.
FOCUSED = """() => {
    const element = document.activeElement
    if (!element || element === document.body || element.matches("dialog")) return null
    if (!focusOrder.has(element)) focusOrder.set(element, focusOrder.size)
    const goesBack = lastFocused && !!(element.compareDocumentPosition(lastFocused) & Node.DOCUMENT_POSITION_FOLLOWING)
    window.lastFocused = element
    const words = element.ariaLabel ?? element.labels?.[0]?.innerText ?? element.innerText
    // A ring may be around the control, around what it stretches over, or around its label.
    const styles = [element, ...element.labels ?? []]
        .flatMap(each => [null, "::before", "::after"].map(part => getComputedStyle(each, part)))
    const hasRing = style => style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0
    const { left, right, top, bottom } = element.getBoundingClientRect()
    return {
        goesBack,
        number: focusOrder.get(element),
        name: `${element.tagName.toLowerCase()} "${words.slice(0, 40)}"`,
        isMarked: styles.some(style => hasRing(style) || style.boxShadow !== "none"),
        isInWindow: right > Math.max(left, 0) && left < innerWidth && bottom > Math.max(top, 0) && top < innerHeight,
    }
}"""

# Colours that are still changing are nobody's choice. What turns for ever is left alone.
REST = """async scheme => {
    while (!matchMedia(`(prefers-color-scheme: ${scheme})`).matches) await new Promise(requestAnimationFrame)
    for (const _ of [1, 2]) await new Promise(requestAnimationFrame)
    const changes = document.getAnimations().filter(animation => animation.effect.getComputedTiming().iterations !== Infinity)
    await Promise.allSettled(changes.map(animation => animation.finished))
}"""


def check_accessibility(page: Page, state: str, scheme: str):
    """No violation of WCAG 2.2 A and AA, contrast and names of controls included, nor of axe's best practices."""
    page.emulate_media(color_scheme=scheme)
    page.evaluate(REST, scheme)
    # Evaluated by the browser's own tools, to which the page's Content-Security-Policy does not apply.
    results = Axe().run(page, options=RULES)
    assert results.violations_count == 0, f"{state}, {scheme}: {results.generate_report()}"


def check_focus(page: Page, state: str):
    """Tab walks through all controls in reading order, and one sees where it is."""
    expected = page.evaluate(CONTROLS)
    page.evaluate(BEGINNING)
    seen = []
    while True:
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        # Some controls have parts: the day and the month of a date.
        if seen and focused and focused["number"] == len(seen) - 1:
            continue
        # Behind the last control the focus leaves the page, or begins anew.
        if focused is None or focused["number"] < len(seen):
            break
        assert focused["isMarked"], f"{state}: one does not see that {focused['name']} has the focus"
        assert focused["isInWindow"], f"{state}: {focused['name']} has the focus and is not in the window"
        assert not focused["goesBack"], f"{state}: after {seen[-1]} the focus goes back to {focused['name']}"
        seen.append(focused["name"])
    assert len(seen) >= expected, f"{state}: of {expected} controls Tab reaches only {seen}"


def check_width(page: Page, state: str):
    """Nothing makes the page wider than its window; who reads does not have to scroll sideways."""
    width, room = page.evaluate("() => [document.documentElement.scrollWidth, innerWidth]")
    assert width <= room, f"{state}: the page is {width} wide in a window of {room}"
