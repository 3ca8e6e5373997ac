"""The documentation as a site, in a real browser: on desk and phone, from a server and from a folder."""

import functools
import http.server
import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from tests.docs.blocks import ROOT

pytest.importorskip("mkdocs", reason="what builds the site is installed by `make docs`")

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
in_a_browser = pytest.mark.skipif(BROWSER is None, reason="neither chromium nor google-chrome is here")
pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("site")]

# Pages are looked at in a frame of the width asked for, one after the other: a window has a least width.
LOOK = """<body><iframe width=WIDTH height=900></iframe><pre id=found></pre><script>
const frame = document.querySelector("iframe"), found = [];
async function look(page) {
  await new Promise((loaded) => { frame.onload = loaded; frame.src = page; });
  const inside = frame.contentDocument, root = inside.documentElement;
  await inside.fonts.ready;
  for (const image of inside.images)
    if (!image.complete || !image.naturalWidth) found.push(`${page}: no picture ${image.src}`);
  if (root.scrollWidth > root.clientWidth) found.push(`${page}: ${root.scrollWidth} wide`);
}
(async () => {
  for (const page of PAGES) await look(page);
  document.querySelector("#found").textContent = JSON.stringify({ pages: PAGES.length, found });
})();
</script>"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder, and says nothing."""

    def log_message(self, format: str, *args: Any) -> None:
        """Keep to oneself who asked for what."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built anew."""
    folder = tmp_path_factory.mktemp("site")
    line = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def served(site: Path) -> Iterator[str]:
    """The address of a server of the site."""
    serve = functools.partial(Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def seen(address: str, profile: Path) -> str:
    """Return a page as a browser has it once its scripts have come to rest."""
    line = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"]
    line += ["--timeout=200000", "--virtual-time-budget=120000", "--dump-dom", address]
    return subprocess.run(list(map(str, line)), capture_output=True, text=True, check=True).stdout


@in_a_browser
@pytest.mark.parametrize("width", [1280, 390])
def test_pages_are_no_wider_than_the_screen(width: int, site: Path, served: str, tmp_path: Path) -> None:
    """What is wide scrolls by itself, on a phone too, and each picture is there."""
    pages = sorted(str(path.relative_to(site)) for path in site.rglob("*.html") if path.name != "404.html")
    look = LOOK.replace("WIDTH", str(width)).replace("PAGES", json.dumps(pages))
    (site / f"look-{width}.htm").write_text(look)
    (said,) = re.findall(r"<pre id=\"found\">(.*?)</pre>", seen(f"{served}/look-{width}.htm", tmp_path))
    assert json.loads(unescape(said)) == {"pages": len(pages), "found": []}


@in_a_browser
def test_a_site_in_a_folder_is_searched(site: Path, tmp_path: Path) -> None:
    """Opened as a file, without any server, it finds the pages that have a word."""
    page = seen(f"{(site / 'how-to/flask.html').as_uri()}?q=lease", tmp_path)
    (number,) = re.findall(r"(\d+) matching documents", page)
    assert int(number) > 5
    assert "explanation/time-leases-threads.html" in page


def test_nothing_comes_from_elsewhere(site: Path) -> None:
    """No page loads a script, a style, a font or a picture from another place."""
    loaded = re.compile(r"<(?:script|img|iframe|link)[^>]* (?:src|href)=.?(https?:[^\s>]+)")
    found = {path.name: loaded.findall(path.read_text()) for path in site.rglob("*.html")}
    assert {page: links for page, links in found.items() if links} == {}
