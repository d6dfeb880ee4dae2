"""Two equations solved by the command `hessquik train pinn`; the picture is that of the command for Burgers' equation.
python pinn.py pinn.png"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

with tempfile.TemporaryDirectory() as folder:
    for equation in ("poisson", "burgers"):
        command = ["hessquik", "train", "pinn", equation, "--json", "-o", str(Path(folder) / equation)]
        run = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        found = json.loads(run.stdout)
        error, loss = found["relative_error"], found["test_loss"]
        print(f"{equation}: {found['epochs']} epochs, relative error ~~{error:.5f}, test loss ~~{loss:.6f}")
        assert error < 0.01
    shutil.copy(Path(folder) / "burgers" / "fit.png", sys.argv[1])
