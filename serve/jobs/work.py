"""The process of one job: ``python -m sora_video.serve.jobs.work ORDER``."""

import json
import sys
import traceback
from pathlib import Path

from sora_video.base.errors import SoraError
from sora_video.base.locks import locked
from sora_video.base.processes import sigterm_interrupts

from ..refusals import told
from .kinds import KINDS, Work
from .store import ENDED, Jobs

__all__ = ["main"]


def main(order: str) -> None:
    """Do one job, and note how it ended.

    Only one process works at a time, also if the server that started another was killed.

    Args:
        order: see :func:`.runner.order_of`.
    """
    given = json.loads(order)
    job_id = given.pop("job")
    places = {name: None if path is None else Path(path) for name, path in given.items()}
    state = places["state"]
    assert state is not None
    jobs = Jobs(state / "jobs.sqlite")
    try:
        with sigterm_interrupts(), locked(state / "jobs.lock"):
            job = jobs.get(job_id)
            if job is None or job.state in ENDED:
                return
            work = Work(jobs=jobs, job=job, **places)  # type: ignore[arg-type]
            jobs.end(job_id, "done", result=KINDS[job.kind](work))
    except SoraError as error:
        roots = [Path.home(), *(path for path in places.values() if path)]
        jobs.end(job_id, "failed", error=told(str(error), roots))
    except KeyboardInterrupt:
        return  # who asked for it says what becomes of the job
    except Exception:
        traceback.print_exc()
        jobs.end(job_id, "failed", error="the server has a fault, which its log of jobs describes")


if __name__ == "__main__":
    main(sys.argv[1])
