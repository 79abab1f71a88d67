"""Opens every page of the built site in Chromium, as a folder and from a server, with no network.

    python -m website.checks.browser site [--pictures FOLDER]

It fails on errors in the console, requests to other hosts, formulas that are not drawn, broken
pictures, pages wider than a phone, tables and formulas wider than a wide page, pages that are
missing in the navigation of the front page, and a search that finds nothing.
"""

from __future__ import annotations

import argparse
import functools
import re
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urldefrag

from playwright.sync_api import Browser, Page, Request, Route, sync_playwright
from playwright.sync_api import TimeoutError as NothingFound

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WIDE, NARROW = (1280, 900), (390, 844)
UNDRAWN = re.compile(r"\\[\[(]|\$\$|\$\S[^$\n]*\$|\\[A-Za-z]{2,}")
"""LaTeX in text: delimiters, or a command."""

TEXT = """() => {
  const page = document.querySelector("article").cloneNode(true)
  page.querySelectorAll("code, pre, script, style, annotation").forEach(part => part.remove())
  return page.textContent
}"""
BROKEN_PICTURES = """() => [...document.images]
  .filter(picture => !picture.complete || !picture.naturalWidth)
  .map(picture => picture.getAttribute("src"))"""
FORMULAS = """() => [...document.querySelectorAll(".formula, .arithmatex")]
  .filter(formula => !formula.querySelector("math") || formula.querySelector("merror"))
  .map(formula => formula.textContent)"""
OVERFLOW = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
CUT = """() => [...document.querySelectorAll(".md-typeset__scrollwrap")]
  .filter(around => around.scrollWidth > around.clientWidth)
  .map(around => around.querySelector("th").textContent)"""
"""The first head of each table that is wider than the page."""

CUT_FORMULAS = """() => [...document.querySelectorAll("div.formula")]
  .filter(formula => formula.scrollWidth > formula.clientWidth)
  .map(formula => formula.textContent)"""

FRAMED = """() => ![...document.querySelectorAll("article table:not([class])")]
  .some(table => !table.closest(".md-typeset__scrollwrap"))"""
"""Whether the theme has put every table into a frame that scrolls."""

NAVIGATION = """() => [...document.querySelectorAll(".md-nav--primary a[href]")].map(a => a.href)"""


def main() -> int:
    """Prints all problems. Returns 1 if there are any."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("site", type=Path)
    parser.add_argument("--pictures", type=Path, help="write a picture of every page here")
    options = parser.parse_args()
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        print(f"browser check SKIPPED: none of {', '.join(NAMES)} is installed")
        return 0
    pages = sorted(path for path in options.site.rglob("*.html") if path.name != "404.html")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        with served(options.site) as server:
            roots = (options.site.resolve().as_uri(), server)
            found = [
                problem for root in roots for problem in problems(browser, root, pages, options)
            ]
        browser.close()
    print("\n".join(found) or f"browser check passed: {len(pages)} pages, twice")
    return bool(found)


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serves the folder on this machine. Yields the address."""
    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(QuietHandler, directory=str(folder))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


class QuietHandler(SimpleHTTPRequestHandler):
    """Prints nothing about requests."""

    def log_message(self, *_: object) -> None:
        """Nothing."""


def problems(
    browser: Browser, root: str, pages: list[Path], options: argparse.Namespace
) -> Iterator[str]:
    """The problems of all pages below this address."""
    context = browser.new_context(viewport={"width": WIDE[0], "height": WIDE[1]})
    page, heard = context.new_page(), list[str]()
    page.on("console", lambda m: heard.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.on("requestfailed", lambda request: heard.extend(missing(request)))

    def only_from_here(route: Route, request: Request) -> None:
        if request.url.startswith((root, "data:", "blob:", "about:")):
            route.continue_()
        else:
            heard.append(f"asks the network for {request.url}")
            route.abort()

    context.route("**/*", only_from_here)
    for path in pages:
        address = f"{root}/{path.relative_to(options.site).as_posix()}"
        heard.clear()
        page.goto(address, wait_until="load")
        page.add_style_tag(content="* { transition: none !important }")  # widths are final
        page.wait_for_function(FRAMED)
        for problem in [*inspect(page), *dict.fromkeys(heard)]:
            yield f"{address}: {problem}"
        if options.pictures and root.startswith("file:"):
            photograph(browser, address, options.pictures / path.relative_to(options.site))
    yield from front_page(page, root, pages, options.site)
    context.close()


def missing(request: Request) -> Iterator[str]:
    """A file that could not be loaded, unless the browser left its page before."""
    if request.failure != "net::ERR_ABORTED":
        yield f"not loaded: {request.url}"


def inspect(page: Page) -> Iterator[str]:
    """The problems of the open page, wide and narrow."""
    if undrawn := UNDRAWN.search(page.evaluate(TEXT)):
        yield f"a formula is not drawn: {undrawn[0]}"
    yield from (f"a formula is not drawn: {latex}" for latex in page.evaluate(FORMULAS))
    yield from (f"a picture is broken: {source}" for source in page.evaluate(BROKEN_PICTURES))
    for width, height in (NARROW, WIDE):
        page.set_viewport_size({"width": width, "height": height})
        if (beyond := page.evaluate(OVERFLOW)) > 0:
            yield f"{beyond} pixels too wide for a width of {width}"
    yield from (
        f"the table of {head!r} is cut at a width of {WIDE[0]}" for head in page.evaluate(CUT)
    )
    yield from (
        f"the formula {text!r} is cut at a width of {WIDE[0]}"
        for text in page.evaluate(CUT_FORMULAS)
    )


def front_page(page: Page, root: str, pages: list[Path], site: Path) -> Iterator[str]:
    """The problems of the navigation and the search of the front page."""
    front = f"{root}/index.html"
    page.goto(front)
    linked = {urldefrag(link).url for link in page.evaluate(NAVIGATION)}
    for path in pages:
        address = f"{root}/{path.relative_to(site).as_posix()}"
        if address not in {*linked, front}:
            yield f"{front}: the navigation has no link to {address}"
    page.get_by_role("textbox", name="Search").click()
    page.keyboard.type("temperature")
    try:
        page.locator(".md-search-result__item").first.wait_for(timeout=10_000)
    except NothingFound:
        yield f"{front}: the search finds nothing"


def photograph(browser: Browser, address: str, target: Path) -> None:
    """Writes pictures of the whole page, wide and narrow, light and dark."""
    target.parent.mkdir(parents=True, exist_ok=True)
    for scheme in ("light", "dark"):
        page = browser.new_page(color_scheme=scheme)
        for width, height in (WIDE, NARROW):
            page.set_viewport_size({"width": width, "height": height})
            page.goto(address)
            name = target.with_suffix(f".{scheme}.{width}.png")
            page.screenshot(path=name, full_page=True, timeout=60_000)
        page.close()


if __name__ == "__main__":
    sys.exit(main())
