"""A replica in a process of its own, that tests may kill, pause and start again."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.service import service_environment, service_settings
from tests.support.waiting import until

_ROOT = Path(__file__).parent.parent.parent
_SERVING = re.compile(r"rdchat is serving on (http://\S+)")
_KEPT: tuple[str, ...] = ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH")


class Replica:
    """`run.py serve` on stores and an Ably endpoint that the test owns. `base` is its address.

    With `open_files` it may open so many and no more. Started again, it listens on the port that it had
    before, so that callers need not learn a new one.
    """

    def __init__(
        self,
        directory: Path,
        *,
        database_url: str,
        redis_url: str,
        ably_endpoint: str,
        open_files: int | None = None,
        **settings: Any,
    ) -> None:
        limited = ["sh", "-c", f'ulimit -n {open_files} && exec "$@"', "sh"] if open_files else []
        self._command = [*limited, sys.executable, str(_ROOT / "run.py"), "serve"]
        directory.mkdir(parents=True, exist_ok=True)
        self._settings = service_settings(directory / "data", **settings)
        self._addresses = {
            "RDCHAT_DATABASE_URL": database_url,
            "RDCHAT_REDIS_URL": redis_url,
            "RDCHAT_ABLY_ENDPOINT": ably_endpoint,
        }
        self._log = directory / "replica.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0
        self.base = ""
        # Without RDCHAT_ABLY_KEY, the key of the local endpoint comes from the data directory's secrets.
        self._settings.data_dir.mkdir(exist_ok=True)
        secrets = {"jwt_secret": "", "encryption_keys": "", "ably_key": self._settings.ably_key}
        (self._settings.data_dir / "secrets.json").write_text(json.dumps(secrets))

    @property
    def pid(self) -> int:
        assert self._process is not None, "the replica does not run"
        return self._process.pid

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    async def start(self, seconds: float = 20.0) -> None:
        """Start, and wait until it serves."""
        self.launch()
        await self.serving(seconds)

    def launch(self) -> None:
        """Start without waiting."""
        assert self._process is None, "the replica runs already"
        self._began = self._log.stat().st_size if self._log.exists() else 0
        environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
        environment |= service_environment(self._settings) | self._addresses
        environment["RDCHAT_PORT"] = str(self._port)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=_ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    async def serving(self, seconds: float = 20.0) -> None:
        """Wait until it says that it serves."""
        process = self._process
        assert process is not None

        def address() -> re.Match[str] | None:
            assert process.poll() is None, f"the replica ended: {self.log[-3000:]}"
            return _SERVING.search(self.log[self._began :])

        found = await until(address, seconds)
        self.base = found[1]
        self._port = int(self.base.rpartition(":")[2])

    def kill9(self) -> None:
        """End it as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    async def stop(self, seconds: float = 20.0) -> None:
        """End it in order."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            await until(lambda: process.poll() is not None, seconds)
        finally:
            process.kill()
            process.wait()
