"""The book's code runs: blocks of Python and of shell commands, page by page, and the worked problems.

Blocks of Rust are doctests of the crate `hessquik-book`. `docs/test` sets up what this needs.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BOOK = Path(__file__).resolve().parent
PAGES = sorted((BOOK / "src").rglob("*.md"))
BLOCK = re.compile(r"^(?:<!-- file: (\S+) -->\n)?```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OPTIONAL = {"dask", "distributed", "hessQuik", "jax", "safetensors", "scipy", "torch"}


def blocks(page: Path) -> list[tuple[str, str, str]]:
    """Language, file that a comment before it names, and code of each block that is not ignored."""
    found = BLOCK.findall(page.read_text())
    return [(language, file, code) for file, language, info, code in found if "ignore" not in info]


def name(page: Path) -> str:
    return str(page.relative_to(BOOK / "src"))


def with_language(*languages: str) -> list[Path]:
    return [page for page in PAGES if any(language in languages for language, _, _ in blocks(page))]


@pytest.mark.parametrize("page", with_language("python"), ids=name)
def test_python(page, tmp_path):
    """The blocks of a page, one after another as one program, in a process and a folder of their own."""
    code = "\n".join(code for language, _, code in blocks(page) if language == "python")
    wanted = {module for module in OPTIONAL if re.search(rf"\b(import|from) {module}\b", code)}
    if "hessquik_rs.layers" in code or "hessquik_rs.networks" in code:
        wanted.add("torch")
    for module in sorted(wanted):
        pytest.importorskip(module)
    program = tmp_path / "page.py"
    program.write_text(code)
    run([sys.executable, str(program)], tmp_path)


@pytest.mark.parametrize("page", with_language("sh"), ids=name)
def test_shell(page, tmp_path):
    """The commands of a page as one script; blocks after a comment `file: ..` are written there."""
    if shutil.which("hessquik") is None:
        pytest.skip("the command hessquik is not installed")
    script = ["set -euo pipefail"]
    for language, file, code in blocks(page):
        if language == "sh":
            script.append(code)
        elif file:
            script.append(f"cat > {file} <<'END OF FILE'\n{code}END OF FILE")
    printed = run(["bash", "-c", "\n".join(script)], tmp_path)
    for language, _, text in blocks(page):
        if language == "text":  # what the commands print
            included = re.fullmatch(r"\{\{#include (\S+)\}\}\s*", text)
            assert (page.parent / included[1]).read_text().strip() in printed if included else text in printed


def run(command: list[str], folder: Path) -> str:
    # optimising the library once more, for a project of its own, would take minutes
    environment = {**os.environ, "HESSQUIK": str(BOOK.parent), "CARGO_PROFILE_RELEASE_OPT_LEVEL": "0"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


TRAINED = ("hermite", "pinn")  # by the command
NUMBER = re.compile(r"(~*)(-?\d+(?:\.\d+)?(?:e-?\d+)?)")


def same(printed: str, quoted: str) -> None:
    """The same words, and numbers within 2 % or 0.02; after `~`, where rounding matters, within a factor of 2,
    after `~~` of 4."""
    assert NUMBER.sub("#", printed).split() == NUMBER.sub("#", quoted).split()
    for (_, a), (mark, b) in zip(NUMBER.findall(printed), NUMBER.findall(quoted), strict=True):
        a, b = float(a), float(b)
        if mark:
            assert min(a, b) * 2 ** len(mark) >= max(a, b), f"{a}, the page says {b}"
        else:
            assert a == pytest.approx(b, rel=0.02, abs=0.02), f"{a}, the page says {b}"


@pytest.mark.parametrize("problem", ["hermite", "pinn", "surrogate", "transport", "surface"])
def test_problem(problem, tmp_path):
    """A worked problem prints what its page quotes, and draws its picture."""
    picture = tmp_path / (f"{problem}.png" if problem in TRAINED else f"{problem}.svg")
    program = BOOK / "problems" / f"{problem}.py"
    if problem in TRAINED:
        if shutil.which("hessquik") is None:
            pytest.skip("the command hessquik is not installed")
        command = [sys.executable, str(program), str(picture)]
    elif program.exists():
        pytest.importorskip("torch")
        pytest.importorskip("matplotlib")
        command = [sys.executable, str(program), str(picture)]
    else:
        if shutil.which(problem) is None:
            pytest.skip(f"the program {problem} is not built")
        command = [problem, str(picture)]
    printed = run(command, tmp_path)
    same(printed, (BOOK / "problems" / f"{problem}.txt").read_text())
    assert picture.read_bytes().startswith(b"\x89PNG") if problem in TRAINED else "<svg" in picture.read_text()
    assert f"{problem}.txt" in (BOOK / "src" / "problems" / f"{problem}.md").read_text()
