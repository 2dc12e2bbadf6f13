"""Starts a process for each job, one after another, and sees to it that every job ends."""

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress

from ..settings import Settings
from .kinds import KINDS, READ_ONLY
from .store import Job, Jobs

__all__ = ["Runner"]

log = logging.getLogger("sora_video.serve")
ATTEMPTS = 3
"""Processes that a job may cost; what kills three of them is the job's fault."""
LOOK_S = 0.2
REST_S = 1.0
"""Between two looks for jobs, where there was none or it could not be begun."""
GRACE_S = 30.0
"""Seconds that a process has to end once it is asked to."""


class Runner:
    """A thread that works on the jobs of a server; what a server before it left goes on.

    Args:
        settings: of the server.
        jobs: of the server.
    """

    def __init__(self, settings: Settings, jobs: Jobs) -> None:
        self.settings, self.jobs = settings, jobs
        self.kinds = READ_ONLY if settings.read_only else tuple(KINDS)
        self.stopping, self.bell = threading.Event(), threading.Event()
        self.process: subprocess.Popen[bytes] | None = None
        """That works now, or worked last."""
        self.thread = threading.Thread(target=self.run, name="jobs", daemon=True)

    def start(self) -> None:
        """Begin."""
        self.thread.start()

    def ring(self) -> None:
        """Look for jobs now."""
        self.bell.set()

    def stop(self) -> None:
        """End the process that works, and keep its job for the next server."""
        self.stopping.set()
        self.ring()
        if self.thread.ident is not None:
            self.thread.join(GRACE_S)

    def run(self) -> None:
        """Work until the server stops."""
        while not self.stopping.is_set():
            try:
                job = self.jobs.next(self.kinds)
                if job is not None:
                    self.work(job)
                    continue
            except Exception:  # such as a full disk; what fails once may work the next time
                log.exception("a job was not worked on")
                self.stopping.wait(REST_S)
            self.bell.wait(REST_S)
            self.bell.clear()

    def work(self, job: Job) -> None:
        """Work on one job to its end, or to that of its process."""
        if job.cancel:
            self.jobs.end(job.id, "cancelled")
            return
        if job.attempts >= ATTEMPTS:
            self.jobs.end(
                job.id, "failed", error=f"its process was killed {ATTEMPTS} times; see the log of jobs"
            )
            return
        self.jobs.begin(job.id)
        with (self.settings.state / "jobs.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "sora_video.serve.jobs.work", order_of(self.settings, job)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
        self.watch(job, self.process)
        self.settle(job)

    def watch(self, job: Job, process: "subprocess.Popen[bytes]") -> None:
        """Wait for the end of a process; ask for it where the job is cancelled or the server stops."""
        asked_s: float | None = None
        while process.poll() is None:
            now = self.jobs.get(job.id)
            if asked_s is None and (self.stopping.is_set() or now is None or now.cancel):
                process.send_signal(signal.SIGTERM)
                asked_s = time.monotonic()
            if asked_s is not None and time.monotonic() - asked_s > GRACE_S:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            with suppress(subprocess.TimeoutExpired):
                process.wait(LOOK_S)

    def settle(self, job: Job) -> None:
        """Say what becomes of a job whose process did not end it."""
        now = self.jobs.get(job.id)
        if now is None or now.state != "running":
            return
        if now.cancel:
            self.jobs.end(job.id, "cancelled")
        elif self.stopping.is_set():
            self.jobs.wait(job.id)


def order_of(settings: Settings, job: Job) -> str:
    """What a process is told: which job, and where things are."""
    places = {name: getattr(settings, name) for name in ("library", "state", "head", "videos")}
    paths = {name: None if path is None else str(path.absolute()) for name, path in places.items()}
    return json.dumps({"job": job.id, **paths})
