"""What `make docs` does beside rendering: pictures from their text, and pages of files outside this folder.

The pages link to files of the repository as they are read there. There such a file is a page of its own,
which shows it as it is.
"""

import re
from pathlib import Path
from posixpath import relpath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
LINK = re.compile(r"(?<=\]\()([^)\s#:]+)(?=[)#])")
LANGUAGES = {".py": "python", ".toml": "toml", ".yaml": "yaml", ".service": "ini", ".md": "", ".lua": "lua"}


def outside(page: Path, link: str) -> Path | None:
    """Return the file of the repository, outside this folder, that a page links to."""
    file = (page.parent / link).resolve()
    inside = file.is_relative_to(DOCS)
    return None if inside or not file.exists() or not file.is_relative_to(ROOT) else file.relative_to(ROOT)


def shown(path: Path) -> str:
    """Return the page about a file, as a path of the site."""
    return f"files/{path}.md" if path.suffix != ".md" else f"files/{path}"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for each file outside that is linked to, from such a page too."""
    todo, seen = sorted(DOCS.rglob("*.md")), set()
    while todo:
        page = todo.pop()
        for link in LINK.findall(page.read_text()):
            path = outside(page, link)
            if path is None or path in seen:
                continue
            seen.add(path)
            of_file = File.generated(config, shown(path), content=content(path))
            of_file.inclusion = InclusionLevel.NOT_IN_NAV
            files.append(of_file)
            if path.suffix == ".md":
                todo.append(ROOT / path)
    return files


def content(path: Path) -> str:
    """Make the page about a file or a folder."""
    file = ROOT / path
    if file.is_dir():
        return f"# {path}\n\n" + "\n".join(f"* `{each.name}`" for each in sorted(file.iterdir()))
    if path.suffix == ".md":
        return relinked(file.read_text(), file, shown(path))
    fence = f"```{LANGUAGES.get(path.suffix, '')}"
    return f"# {path}\n\n{fence}\n{file.read_text()}```\n"


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Have links that lead out of this folder lead to the pages about what is there."""
    source = page.file.abs_src_path
    return relinked(markdown, Path(source), page.file.src_uri) if source else markdown


def relinked(markdown: str, file: Path, uri: str) -> str:
    """Rewrite the links of a file that is shown at `uri`."""

    def rewritten(match: re.Match[str]) -> str:
        path = outside(file, match[1])
        if path is not None:
            return relpath(shown(path), uri.rpartition("/")[0] or ".")
        target = (file.parent / match[1]).resolve()
        if file.is_relative_to(DOCS) or not target.is_relative_to(DOCS):
            return match[1]
        return relpath(str(target.relative_to(DOCS)), uri.rpartition("/")[0] or ".")

    return LINK.sub(rewritten, markdown)
