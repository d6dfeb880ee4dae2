"""Every dependency with default features: its licence and source against deny.toml, its minimum Rust version against
that of the crates that want it; and for all but what Burn and the trees that deny.toml skips bring, whether it is there
twice. Fails if one is not as promised; a crate that states no minimum version is counted, not failed.

    python3 hardening/dependencies.py
"""

import collections
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

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
    packages = {p["id"]: p for p in metadata["packages"]}
    wants = {node["id"]: node["dependencies"] for node in metadata["resolve"]["nodes"]}
    own = set(metadata["workspace_members"])

    def reached(roots):
        """All that these want, themselves left out."""
        found, ahead = set(), list(roots)
        while ahead:
            for wanted in wants[ahead.pop()]:
                if wanted not in found:
                    found.add(wanted)
                    ahead.append(wanted)
        return found - own

    wrong = []
    versions_of_rust = sorted({parts(packages[m]["rust_version"]) for m in own})
    light = reached(m for m in own if parts(packages[m]["rust_version"]) == versions_of_rust[0])
    others = [packages[i] for i in reached(own)]
    skipped = {entry["crate"] for entry in rules["bans"]["skip-tree"]}
    roots = [i for i in light if packages[i]["name"] in skipped]
    counted = light - set(roots) - reached(roots)
    versions = collections.Counter(packages[i]["name"] for i in counted)
    for package in sorted(others, key=lambda p: p["id"]):
        name = f"{package['name']} {package['version']}"
        promised = versions_of_rust[0 if package["id"] in light else -1]
        # cargo deny reads the files of those that name no licence
        if not (allowed(package["license"] or "none", licences) or package["license_file"]):
            wrong.append(f"{name}: licence {package['license']}")
        if (package["source"] or "none").removeprefix("registry+") not in registries:
            wrong.append(f"{name}: from {package['source']}")
        if package["rust_version"] and parts(package["rust_version"]) > promised:
            wrong.append(f"{name}: wants Rust {package['rust_version']}")
        if package["id"] in counted and versions[package["name"]] > 1 and package["name"] not in twice:
            wrong.append(f"{name}: there {versions[package['name']]} times")
    silent = sum(not p["rust_version"] for p in others)
    print(f"{len(light)} dependencies, {len(others)} with Burn, {silent} of which state no minimum Rust version")
    print("\n".join(wrong))
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
