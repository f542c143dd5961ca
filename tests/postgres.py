"""A PostgreSQL server for tests, on a free port of the loopback address, run by an unprivileged user."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def program(name: str) -> str:
    """Return a program of the server, from PATH or from where Debian's package puts it; skip where there is none."""
    places = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    found = shutil.which(name) or next((str(place / name) for place in places if (place / name).exists()), None)
    if found is None:
        pytest.skip(f"no {name}; install Debian's package postgresql")
    return found


class Server:
    """A server whose data lie in a directory of their own."""

    def __init__(self, folder: Path, user: str | None) -> None:
        self.folder = folder
        self.user = user
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self._run(program("initdb"), "-D", str(folder / "data"), "-U", "palmette", "-A", "trust", "--no-sync")

    @property
    def url(self) -> str:
        return f"postgresql://palmette@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c fsync=off -k {self.folder}"
        log = str(self.folder / "log")
        self._run(program("pg_ctl"), "-D", str(self.folder / "data"), "-w", "-l", log, "-o", options, "start")

    def stop(self) -> None:
        """End the server and all its connections at once, in the middle of whatever they do."""
        self._run(program("pg_ctl"), "-D", str(self.folder / "data"), "-w", "-m", "immediate", "stop")

    def _run(self, *command: str) -> None:
        done = subprocess.run(
            command, user=self.user, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False
        )
        assert done.returncode == 0, done.stderr.decode()


@contextmanager
def running_server() -> Iterator[Server]:
    """Yield a running server; root may not run one, so that ``nobody`` does."""
    user = "nobody" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="palmette-postgres-"))
    try:
        if user is not None:
            os.chown(folder, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)
        server = Server(folder, user)
        server.start()
        try:
            yield server
        finally:
            with contextlib.suppress(AssertionError):  # a test may have ended it
                server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
