"""Every locked dependency: its licence and source against deny.toml, its minimum Rust version against ours, and
whether it is there twice. Fails if one is not as promised; a crate that states no minimum version is counted, not
failed.

    python3 hardening/dependencies.py
"""

import collections
import json
import re
import subprocess
import sys
from pathlib import Path

import tomllib

ROOT = Path(__file__).parents[1]


def parts(version):
    numbers = [int(part) for part in version.split(".")]
    return tuple(numbers + [0] * (3 - len(numbers)))


def allowed(expression, licences):
    """Whether an SPDX expression can be met by these licences; a slash is an old way to write OR."""
    words = re.findall(r"[()]|[^\s()]+(?: WITH [^\s()]+)?", expression.replace("/", " OR "))
    python = [w if w in "()" else w.lower() if w in ("OR", "AND") else str(w in licences) for w in words]
    return eval(" ".join(python))


def main():
    metadata = json.loads(subprocess.check_output(["cargo", "metadata", "--format-version", "1", "--locked"], cwd=ROOT))
    rules = tomllib.loads((ROOT / "deny.toml").read_text())
    licences, registries = rules["licenses"]["allow"], rules["sources"]["allow-registry"]
    twice = {entry["crate"].split("@")[0] for entry in rules["bans"]["skip"]}
    own = set(metadata["workspace_members"])
    promised = min(parts(p["rust_version"]) for p in metadata["packages"] if p["id"] in own)
    others = [p for p in metadata["packages"] if p["id"] not in own]
    versions = collections.Counter(p["name"] for p in others)

    wrong = []
    for package in others:
        name = f"{package['name']} {package['version']}"
        if not allowed(package["license"] or "none", licences):
            wrong.append(f"{name}: licence {package['license']}")
        if (package["source"] or "none").removeprefix("registry+") not in registries:
            wrong.append(f"{name}: from {package['source']}")
        if package["rust_version"] and parts(package["rust_version"]) > promised:
            wrong.append(f"{name}: wants Rust {package['rust_version']}")
        if versions[package["name"]] > 1 and package["name"] not in twice:
            wrong.append(f"{name}: there {versions[package['name']]} times")
    silent = sum(not p["rust_version"] for p in others)
    print(f"{len(others)} dependencies, {silent} of which state no minimum Rust version")
    print("\n".join(wrong))
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
