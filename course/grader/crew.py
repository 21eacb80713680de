"""Who grades: threads of this machine, each with a desk, or a Dask cluster's workers.

    crew.give(homework, submission) → a future of what it comes to

A thread only waits for its desk (worker.py), so that cores are busy at desks. A cluster
is asked for where there is one: on one machine its scheduler, its nannies and its
workers would each import as much as a submission costs.

Read in order: `hired`, `Threads`, `Cluster`.
"""

import os
import queue
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

from course.grader.terms import Graded, Homework, Submission
from course.grader.worker import Worker, assess

RETRIES = 3  # of a task whose Dask worker died under it


class Crew(Protocol):
    """Grades many submissions at a time. For a `with`, which ends all that it began."""

    @property
    def cores(self) -> int:
        """How many submissions are graded at a time."""

    def give(self, homework: Homework, submission: Submission) -> Future[Graded]:
        """Have a submission graded when its turn comes."""

    def __enter__(self) -> "Crew": ...

    def __exit__(self, *_: object) -> None: ...


def hired(cluster: str | None, workers: int | None) -> Crew:
    """The workers of the scheduler at address `cluster`, or so many on these cores."""
    return Cluster(cluster) if cluster else Threads(workers or os.cpu_count() or 1)


class Threads:
    """A `Crew` of this machine, of at most `cores` desks."""

    def __init__(self, cores: int) -> None:
        self.cores = cores
        self.workers = [Worker() for _ in range(cores)]
        self.idle: queue.LifoQueue[Worker] = queue.LifoQueue()  # a warm one first
        for worker in self.workers:
            self.idle.put(worker)
        self.pool = ThreadPoolExecutor(cores)

    def give(self, homework: Homework, submission: Submission) -> Future[Graded]:
        """Have a submission graded by whichever thread is free first."""
        return self.pool.submit(self._grade, homework, submission)

    def _grade(self, homework: Homework, submission: Submission) -> Graded:
        worker = self.idle.get()
        try:
            return worker.assess(homework, submission)
        finally:
            self.idle.put(worker)

    def __enter__(self) -> "Threads":
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.workers:
            worker.retire()
        self.pool.shutdown(cancel_futures=True)


class Cluster:
    """A `Crew` of Dask workers, wherever they are."""

    def __init__(self, address: str) -> None:
        import logging

        from distributed import Client

        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        self.client = Client(address)
        self.executor = self.client.get_executor(pure=False, retries=RETRIES)
        self.known: dict[str, Any] = {}

    @property
    def cores(self) -> int:
        """The threads of all workers that are there now."""
        return sum(self.client.nthreads().values())

    def give(self, homework: Homework, submission: Submission) -> Future[Graded]:
        """Have a submission graded wherever there is room."""
        # A task, not scattered data: it outlives the worker that holds it
        if homework.name not in self.known:
            self.known[homework.name] = self.client.submit(same, homework, pure=False)
        return self.executor.submit(assess, self.known[homework.name], submission)

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()


def same(homework: Homework) -> Homework:
    """A homework, as a result that Dask can make again."""
    return homework
