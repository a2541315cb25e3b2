"""`gvlab` in processes that begin where everything is imported, which is half of what a short run takes.

A server, one for each process of the tests, imports what a training needs, starts nothing, and forks. What is forked
runs the command line as the script `gvlab` does and ends as any interpreter; signals reach it, and its exit code is the
real one.
"""

from __future__ import annotations

import atexit
import functools
import os
import pickle
import select
import signal
import socket
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

NEEDED = (
    *("PIL.Image", "flax.linen", "optax", "orbax.checkpoint", "scipy.linalg", "sklearn.datasets", "tensorboardX"),
    *("gvlab.build", "gvlab.cli.main", "gvlab.compare", "gvlab.data", "gvlab.evaluate", "gvlab.train.loop", "tyro"),
)
"""What a training or a comparison imports sooner or later."""
_WIDTH = 8
"""Of a number that the server tells: a process, then its status."""


class Forked:
    """A running `gvlab ARGS`, with the part of `subprocess.Popen` that the tests use."""

    def __init__(self, args: list[str], cwd: Path | None, environment: dict[str, str]) -> None:
        self.args = args
        self.returncode: int | None = None
        self._texts = [tempfile.TemporaryFile("w+") for _ in range(2)]  # noqa: SIM115, they end with this object
        self._told, telling = os.pipe()
        request = pickle.dumps((args, str(cwd or Path.cwd()), environment))
        socket.send_fds(_server(), [request], [*(text.fileno() for text in self._texts), telling])
        os.close(telling)
        self.pid = int(os.read(self._told, _WIDTH))

    def poll(self) -> int | None:
        return self._ended(0)

    def wait(self, timeout: float = 300) -> int:
        if self._ended(timeout) is None:
            raise subprocess.TimeoutExpired(self.args, timeout)
        return self.returncode

    def communicate(self, timeout: float = 300) -> tuple[str, str]:
        """(standard output, standard error) when it has ended."""
        self.wait(timeout)
        found = []
        for text in self._texts:
            with text:
                text.seek(0)
                found.append(text.read())
        return tuple(found)

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _ended(self, timeout: float) -> int | None:
        if self.returncode is None and select.select([self._told], [], [], timeout)[0]:
            self.returncode = os.waitstatus_to_exitcode(int(os.read(self._told, _WIDTH)))
            os.close(self._told)
        return self.returncode


@functools.cache
def _server() -> socket.socket:
    """Where this process asks; the server ends when it is closed."""
    import harness

    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    server = subprocess.Popen(
        [sys.executable, __file__, str(theirs.fileno())],
        env=harness.environment(PYTHONPATH=os.pathsep.join(filter(None, map(os.path.abspath, sys.path)))),
        pass_fds=[theirs.fileno()],
        stdout=subprocess.DEVNULL,
    )
    theirs.close()
    atexit.register(server.wait)
    atexit.register(ours.close)
    return ours


# --- in the server ----------------------------------------------------------------------------------------------------


def _serve(asked: socket.socket) -> list[str] | None:
    """Forks for each request, and tells how each process ended; returns in these with the arguments, and in the server
    when nobody asks any more."""
    awake, waking = os.pipe()
    os.set_blocking(waking, False)
    signal.set_wakeup_fd(waking)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    running: dict[int, int] = {}
    while True:
        ready = select.select([asked, awake], [], [])[0]
        if awake in ready:
            os.read(awake, 512)
            while running and (ended := os.waitpid(-1, os.WNOHANG))[0]:
                telling = running.pop(ended[0])
                os.write(telling, b"%*d" % (_WIDTH, ended[1]))
                os.close(telling)
        if asked not in ready:
            continue
        request, descriptors, *_ = socket.recv_fds(asked, 2**20, 3)
        if not request:
            return None
        pid = os.fork()
        if not pid:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for descriptor in (awake, waking, descriptors[2], *running.values()):
                os.close(descriptor)
            asked.close()
            return _become(request, descriptors[:2])
        running[pid] = descriptors[2]
        os.write(descriptors[2], b"%*d" % (_WIDTH, pid))
        for descriptor in descriptors[:2]:
            os.close(descriptor)


def _become(request: bytes, texts: list[int]) -> list[str]:
    args, cwd, environment = pickle.loads(request)
    for target, text in zip((1, 2), texts, strict=True):
        os.dup2(text, target)
        os.close(text)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    return args


if __name__ == "__main__":
    warnings.filterwarnings("ignore", message=".*multi-threaded, use of fork")  # the threads of OpenBLAS, which bear it
    del sys.path[0]  # the tests
    for module in NEEDED:
        __import__(module)
    if (found := _serve(socket.socket(fileno=int(sys.argv[1])))) is not None:
        from gvlab.cli.main import main

        sys.argv = found
        sys.exit(main())
