"""Worker processes: started pinned to their cores, asked in JSON lines, and started again if they die."""

import json
import os
import resource
import select
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent

# name of the peer: what runs it
PEERS = {
    "hessQuik": [sys.executable, HERE / "peers/hessquik_peer.py"],
    "torch": [sys.executable, HERE / "peers/torch_peer.py"],
    "jax": [sys.executable, HERE / "peers/jax_peer.py"],
    "folx": [sys.executable, HERE / "peers/folx_peer.py"],
    "num-dual": ["hyper_dual"],
    "jet": [sys.executable, HERE / "peers/jet_peer.py"],
    "torch-jet": [sys.executable, HERE / "peers/torch_jet_peer.py"],
}
# these compile at the first call, so that its time says nothing
COMPILED = {"jax", "folx", "jet"}


class Failed(Exception):
    """A request that was not answered, or answered by an error."""


def environment(threads, device="cpu"):
    """What makes every library use so many threads, and a GPU where one is named, set before it is loaded."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS", "MATMUL_NUM_THREADS")
    variables = os.environ | {name: str(threads) for name in names}
    variables |= {"JAX_PLATFORMS": device, "HESSQUIK_PEER_DEVICE": device, "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    if threads == 1:
        variables["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    return variables


def running(stat):
    """Whether the thread with this file of the proc file system is running or about to; one that has ended is not."""
    try:
        return stat.read_text().rpartition(") ")[2].startswith(("R", "D"))
    except (FileNotFoundError, ProcessLookupError):
        return False


class Worker:
    """A process that answers requests, on the cores given."""

    def __init__(self, name, command, cores, log, device="cpu"):
        self.name, self.cores, self.log, self.device = name, cores, log, device
        self.command = [str(part) for part in command]
        self.process = None
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        self.limit = int(0.75 * memory)

    def start(self):
        def prepare():
            os.sched_setaffinity(0, self.cores)
            # a peer that needs more gets an error, not the machine into trouble
            if self.device == "cpu":
                resource.setrlimit(resource.RLIMIT_DATA, (self.limit, self.limit))

        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self.log}
        env = environment(len(self.cores), self.device)
        self.process = subprocess.Popen(self.command, preexec_fn=prepare, env=env, text=True, bufsize=1, **pipes)

    def ask(self, op, timeout=600, **fields):
        """The answer to a request; `Failed` with the worker's message, or when it dies or is too slow."""
        if self.process is None:
            self.start()
        try:
            self.process.stdin.write(json.dumps({"op": op} | fields) + "\n")
            self.process.stdin.flush()
            ready, _, _ = select.select([self.process.stdout], [], [], timeout)
            line = self.process.stdout.readline() if ready else None
        except BrokenPipeError:
            line = ""
        if not line:
            self.stop()
            raise Failed(f"no answer in {timeout} s" if line is None else "the process died, as when memory runs out")
        answer = json.loads(line)
        if "error" in answer:
            raise Failed(answer["error"])
        return answer

    def settle(self, longest=1.0):
        """Waits until the threads of this process sleep: a peer that has answered may still be giving memory back, for
        15 ms after a large call of JAX, on the core of whoever is next."""
        if self.process is None:
            return
        tasks, end, asleep = Path(f"/proc/{self.process.pid}/task"), time.monotonic() + longest, 0
        if not tasks.exists():
            time.sleep(0.05)
            return
        while asleep < 3 and time.monotonic() < end:
            time.sleep(1e-3)
            asleep = 0 if any(running(task / "stat") for task in tasks.iterdir()) else asleep + 1

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            for pipe in (self.process.stdin, self.process.stdout):
                try:
                    pipe.close()
                except BrokenPipeError:
                    pass
            self.process = None
