"""Every code block of the documentation runs: Python blocks of a file in order, and quick commands.

All other commands are parsed, and the site is built, with every link and anchor checked.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

import palmette.cli
from palmette.cli import main as program
from palmette.cli.method_names import METHODS

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
RESULTS = sorted((ROOT / "results").glob("*.md"))
"""What was run: their commands are parsed too."""
QUICK = ("cost", "spaces", "methods", "data", "--help", "--version")
"""Commands that take seconds; the others have tests of their own."""


def blocks(page: Path, language: str) -> list[str]:
    """Return the fenced blocks of one language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def every_command(page: Path) -> list[str]:
    """Return all ``palmette`` commands of a page's bash blocks, each once, without what a shell would do."""
    lines = "\n".join(blocks(page, "bash")).replace("\\\n", " ").splitlines()
    lines = [re.split(r"\s(?:#|\||<|>|&&)", line)[0].strip() for line in lines]
    return list(dict.fromkeys(line for line in lines if line.startswith("palmette ")))


def commands(page: Path) -> list[str]:
    """Return the quick ``palmette`` commands of the page's bash blocks, each once."""
    lines = [line.split(" #")[0].strip() for block in blocks(page, "bash") for line in block.splitlines()]
    ours = [line for line in lines if line.startswith("palmette ") and line.split()[1] in QUICK and "|" not in line]
    return list(dict.fromkeys(ours))


def run(command: list[str], folder: Path) -> None:
    environment = {**os.environ, "MPLBACKEND": "agg"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize(
    "page", [page for page in PAGES if blocks(page, "python")], ids=lambda page: page.relative_to(ROOT).as_posix()
)
def test_python_blocks_run(page: Path, tmp_path: Path) -> None:
    script = tmp_path / f"{page.stem}.py"
    script.write_text("\n".join(blocks(page, "python")))
    run([sys.executable, script.name], tmp_path)


@pytest.mark.parametrize("command", sorted({command for page in PAGES for command in commands(page)}))
def test_quick_commands_run(command: str, tmp_path: Path) -> None:
    palmette = Path(sys.executable).with_name("palmette")
    run([str(palmette), *shlex.split(command)[1:]], tmp_path)


@pytest.mark.parametrize(
    "page",
    [*sorted((ROOT / "docs" / "methods").glob("*.md")), ROOT / "docs" / "design_spaces.md"],
    ids=lambda page: page.stem,
)
def test_a_method_page_says_what_it_is_when_to_use_it_its_cost_its_failures_and_its_paper(page: Path) -> None:
    text = page.read_text()
    headings = " ".join(re.findall(r"^## (.+)$", text, re.MULTILINE)).lower()
    wanted = ("what it is", "when to use it", "cost", "known failures")
    assert [part for part in wanted if part not in headings] == []
    assert "https://arxiv.org/abs/" in text


def test_the_paper_of_every_method_is_linked_on_a_page_and_every_method_is_in_the_choice_of_one() -> None:
    pages = "\n".join(page.read_text() for page in (ROOT / "docs" / "methods").glob("*.md"))
    links = set(re.findall(r"https://arxiv\.org/abs/(\d{4}\.\d{5})", pages))
    choosing = (ROOT / "docs" / "choosing.md").read_text()
    for name, method in METHODS.items():
        assert re.search(r"arXiv (\d{4}\.\d{5})", method.paper)[1] in links, name  # type: ignore[index]
        assert f"`{name}`" in choosing, name


@pytest.mark.parametrize("name", ["darts", "fbnet", "proxylessnas"])
def test_a_method_is_followed_in_six_files_of_the_lines_that_its_page_says(name: str) -> None:
    text = (ROOT / "docs" / "methods" / f"{name}.md").read_text()
    rows = re.findall(r"^\| \[[^]]+\]\(\.\./\.\./(palmette/\S+\.py)\) \| (\d+) \|", text, re.MULTILINE)
    lines = {path: len((ROOT / path).read_text().splitlines()) for path, _ in rows}
    assert 4 <= len(rows) <= 6
    assert sum(lines.values()) <= 900
    assert {path: int(stated) for path, stated in rows} == pytest.approx(lines, abs=15)


class Parsed(Exception):
    """Raised in place of doing what a command says."""


ARCHITECTURE = {"palmette_architecture": 1, "space": "small-images", "values": {}}


@pytest.mark.parametrize(
    "page", [*PAGES, *RESULTS, ROOT / "CONTRIBUTING.md"], ids=lambda page: page.relative_to(ROOT).as_posix()
)
def test_every_fence_names_its_language(page: Path) -> None:
    """A block without a name would be neither run nor parsed."""
    fences = re.findall(r"^ *```(.*)$", page.read_text(), re.MULTILINE)
    assert [name for name in fences[::2] if name not in ("python", "bash", "text", "toml")] == []
    assert set(fences[1::2]) <= {""}


@pytest.mark.parametrize("command", sorted({command for page in [*PAGES, *RESULTS] for command in every_command(page)}))
def test_every_command_is_understood(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def parsed(*arguments: object, **options: object) -> object:
        program.parse(*arguments, **options)  # type: ignore[arg-type]
        raise Parsed

    words = shlex.split(command)[1:]
    monkeypatch.chdir(tmp_path)
    for file in (Path(word) for word in words if word.endswith(".json")):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(ARCHITECTURE))
    modules = [
        importlib.import_module(f"palmette.cli.{each.name}") for each in pkgutil.iter_modules(palmette.cli.__path__)
    ]
    for module in modules:
        if hasattr(module, "parse") and module is not program:
            monkeypatch.setattr(module, "parse", parsed)
    if words[0] in ("methods", "spaces", "data", "doctor", "--help", "--version"):
        assert words[0].startswith("--") or words[0] in program.COMMANDS
        return
    with pytest.raises((Parsed, SystemExit)) as raised:  # SystemExit: of --help
        program.main(words)
    assert isinstance(raised.value, Parsed) or raised.value.code == 0


def test_the_site_is_built_and_no_link_is_broken(tmp_path: Path) -> None:
    pytest.importorskip("material", reason="the site needs the extra docs")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(tmp_path / "site")]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    pages = {page.relative_to(ROOT / "docs").with_suffix(".html") for page in (ROOT / "docs").rglob("*.md")}
    assert [page for page in pages if not (tmp_path / "site" / page).exists()] == []
    loaded = [
        (page, address)
        for page in (tmp_path / "site").rglob("*.html")
        for address in re.findall(r'<(?:link|script|img)[^>]+(?:href|src)="(https?://[^"]+)', page.read_text())
        if "canonical" not in address
    ]
    assert loaded == []
