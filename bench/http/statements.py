"""The SQL of a function, out of the product's sources: a copy would drift."""

import re

from throwaway import ROOT

SOURCES = ROOT / "Sources"
# Swift strips the indentation of the closing quotes; SQL does not mind it.
STATEMENT = r'Statement\(\s*"{name}",\s*"""\n(.*?)"""'


def statement(name):
    """The text of the `Statement` of that name, with `\\(Type.columns)` filled in and parameters as `$1`."""
    for path in sorted(SOURCES.rglob("*.swift")):
        if found := re.search(STATEMENT.format(name=re.escape(name)), path.read_text(), re.DOTALL):
            return re.sub(r"\\\((\w+)\.columns\)", lambda match: columns(match[1]), found[1])
    raise SystemExit(f"No Statement named {name} in {SOURCES}.")


def columns(model):
    """The text of `Sources/Models/<model>.swift`'s `columns`."""
    text = (SOURCES / f"Models/{model}.swift").read_text()
    return re.search(r'static let columns = """\n(.*?)"""', text, re.DOTALL)[1].strip()
