"""Hermite interpolation of peaks by the command `hessquik train hermite`, three seeds each with hessQuik's settings and
with ours; the picture is that of the command. python hermite.py hermite.png"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path


def train(seed, folder, *more):
    command = ["hessquik", "train", "hermite", "--seed", str(seed), "--json", "-o", folder, *more]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout)


with tempfile.TemporaryDirectory() as folder:
    for name, more in (("settings of hessQuik", ["--hessquik-settings"]), ("our settings", [])):
        for seed in (2, 1, 0):
            found = train(seed, folder, *more)
            error, loss = found["relative_error"], found["test_loss"]
            print(
                f"{name}, seed {seed}: {found['epochs']} epochs, relative error ~~{error:.4f}, test loss ~~{loss:.4f}"
            )
            assert error < (0.01 if name == "our settings" else 0.2)
    shutil.copy(Path(folder) / "fit.png", sys.argv[1])  # of our settings and seed 0
