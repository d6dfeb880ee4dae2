"""`hessquik_rs.jax` on several devices, in a process of its own, which must ask for them before JAX starts."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


def test_on_four_devices():
    pytest.importorskip("jax")
    file = Path(__file__).with_name("jax_on_four_devices.py")
    environment = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=4"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1500, env=environment)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-1000:]
