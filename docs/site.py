"""What the site adds to the pages: everything that they link to outside of ``docs/``, so that no link leaves the site.

Pages are written to be read in the repository too, where a link to ``../palmette/space.py`` opens the code. Here such a
file becomes a page of its own: Markdown as it is, code as one block.
"""

from __future__ import annotations

import os
import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

LINK = re.compile(r"(\]\(|\]: )(?!https?:|#|mailto:)([^)\s#]+)")
LANGUAGES = {".py": "python", ".toml": "toml", ".txt": "text"}
ROOT = Path(__file__).resolve().parents[1]
FIRST = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put every page of results into the navigation."""
    results = next(entry["Results"] for entry in config.nav or [] if "Results" in entry)
    results += [_uri(page) for page in sorted((ROOT / "results").glob("*.md")) if page.stem != "README"]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the files of the repository that are reached from the pages, and from what is added."""
    waiting = [ROOT / name for name in FIRST] + sorted((ROOT / "results").glob("*.md"))
    waiting += [ROOT / "docs" / file.src_uri for file in files if file.src_uri.endswith(".md")]
    seen: set[Path] = set()
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        if not path.is_relative_to(ROOT / "docs"):
            files.append(_added(path, config))
        if path.suffix == ".md":
            waiting += [found for found in _linked(path) if found.is_file()]
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point links to files of the repository to their pages."""
    here = ROOT / _place(page.file.src_uri)

    def pointed(match: re.Match[str]) -> str:
        target = Path(os.path.normpath(here.parent / match[2]))
        if not target.is_file() or not target.is_relative_to(ROOT):
            return match[0]
        return match[1] + posixpath.relpath(_uri(target), posixpath.dirname(page.file.src_uri) or ".")

    return LINK.sub(pointed, markdown)


def _linked(path: Path) -> list[Path]:
    """Return the files of the repository that a page links to."""
    targets = (Path(os.path.normpath(path.parent / match[2])) for match in LINK.finditer(path.read_text()))
    return [target for target in targets if target.is_relative_to(ROOT)]


def _uri(path: Path) -> str:
    """Return where a file of the repository lies in the site's sources."""
    place = path.relative_to(ROOT)
    if place.parts[0] == "docs":
        return place.relative_to("docs").as_posix()
    name = place.as_posix() if path.suffix in (".md", ".png", ".svg") else f"{place.as_posix()}.md"
    return f"repository/{name.replace('README', 'readme')}"


def _place(uri: str) -> str:
    """Return where a page of the site lies in the repository: the reverse of ``_uri``, for Markdown."""
    if uri.startswith("repository/"):
        return uri.removeprefix("repository/").replace("readme", "README")
    return f"docs/{uri}"


def _added(path: Path, config: MkDocsConfig) -> File:
    if path.suffix == ".md" or path.suffix not in LANGUAGES:
        return File.generated(config, _uri(path), abs_src_path=str(path))
    fence = "````"
    text = f"# {path.relative_to(ROOT)}\n\n{fence}{LANGUAGES[path.suffix]}\n{path.read_text()}{fence}\n"
    return File.generated(config, _uri(path), content=text)
