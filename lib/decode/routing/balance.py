"""Several servers and a balancer, as a simulation by events.

    a pass takes  fixed + prompt_token · (tokens read) + text · (texts that write)

Each server batches continuously: between two passes it lets in who waits, and a pass
reads the prompts that are new and writes one token of every other text. Its times are
measured on a real engine and fitted; then an hour of traffic costs a second.

A balancer sees the job that arrives and what each server has to do:

    RoundRobin      one after another
    least_loaded    whoever has the fewest tokens to read and write
    PrefixAffinity  whoever read this beginning before, unless it has too much to do

Read in order: `Job`, `StepTimes`, `Server`, `simulate`; the balancers.
Taught in notebooks/14.
"""

import hashlib
import heapq
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Job:
    """A request: when it comes, tokens to read and to write.

    Its first `shared` tokens are those of every job with the same `prefix`.
    """

    arrival: float  # seconds
    prompt: int
    new: int
    prefix: int = 0
    shared: int = 0

    def __post_init__(self) -> None:
        """Refuse what asks for nothing, and a beginning longer than the prompt."""
        if not (self.arrival >= 0 and self.new >= 1 and self.prompt >= 1):
            raise ValueError(f"{self}: it comes, reads and writes at least something")
        if not 0 <= self.shared < self.prompt:
            raise ValueError(f"{self}: shared is below prompt")


@dataclass(frozen=True)
class StepTimes:
    """Seconds that a pass takes."""

    fixed: float
    prompt_token: float
    text: float

    def of(self, read: int, texts: int) -> float:
        """Of a pass that reads so many tokens, and writes in so many texts."""
        return self.fixed + self.prompt_token * read + self.text * texts

    @classmethod
    def fit(cls, passes: Sequence[tuple[int, int, float]]) -> "StepTimes":
        """Least squares over (tokens read, texts, seconds). ValueError for too few."""
        rows = np.array([(1, read, texts) for read, texts, _ in passes], float)
        if len(rows) < 3 or np.linalg.matrix_rank(rows) < 3:
            raise ValueError(f"{len(rows)} passes do not tell three times apart")
        seconds = np.array([seconds for *_, seconds in passes])
        return cls(*map(float, np.linalg.lstsq(rows, seconds, rcond=None)[0]))


@dataclass(eq=False)
class Served:
    """A job's way: where, and when its first and its last token came."""

    job: Job
    server: int
    left: int  # tokens to write
    read: bool = False
    first: float = 0.0
    finished: float = 0.0

    @property
    def load(self) -> int:
        """Tokens that it still has its server read and write."""
        return self.left + (0 if self.read else self.job.prompt)


@dataclass(eq=False)
class Server:
    """One engine: who waits, who is at work, which beginnings its cache holds."""

    times: StepTimes
    batch: int
    prefixes: int
    waiting: deque[Served] = field(default_factory=deque)
    working: list[Served] = field(default_factory=list)
    known: OrderedDict[int, None] = field(default_factory=OrderedDict)
    reused: int = 0  # tokens that did not have to be read

    @property
    def load(self) -> int:
        """Tokens that it has to read and write."""
        return sum(served.load for served in (*self.waiting, *self.working))

    def begin(self) -> float:
        """Let in who waits, and begin a pass; how long it takes."""
        while self.waiting and len(self.working) < self.batch:
            self.working.append(self.waiting.popleft())
        read = sum(self.to_read(s.job) for s in self.working if not s.read)
        return self.times.of(read, sum(s.read for s in self.working))

    def to_read(self, job: Job) -> int:
        """Tokens of a prompt that the cache does not hold; it holds them from now."""
        if not job.shared:
            return job.prompt
        if job.prefix in self.known:
            self.known.move_to_end(job.prefix)
            self.reused += job.shared
            return job.prompt - job.shared
        self.known[job.prefix] = None
        if len(self.known) > self.prefixes:
            self.known.popitem(last=False)
        return job.prompt

    def end(self, now: float) -> list[Served]:
        """End the pass: a token for everybody; who is finished leaves."""
        for served in self.working:
            if not served.read:
                served.read, served.first = True, now
            served.left -= 1
            served.finished = now
        done = [served for served in self.working if not served.left]
        self.working = [served for served in self.working if served.left]
        return done


Balancer = Callable[[Sequence[Server], Job], int]


def simulate(
    jobs: Iterable[Job],
    balancer: Balancer,
    times: StepTimes,
    *,
    servers: int = 4,
    batch: int = 16,
    prefixes: int = 8,
) -> tuple[list[Served], list[Server]]:
    """Let the jobs come; each one's way, in the order of arrival, and the servers.

    A server's cache holds the last `prefixes` beginnings. ValueError for sizes below 1.
    """
    if min(servers, batch, prefixes) < 1:
        raise ValueError(f"servers={servers}, batch={batch}, prefixes={prefixes}")
    fleet = [Server(times, batch, prefixes) for _ in range(servers)]
    ways: list[Served] = []
    # Ends of passes come before arrivals of the same moment: (time, kind, number)
    coming = sorted(jobs, key=lambda job: job.arrival)
    events = [(job.arrival, 1, number) for number, job in enumerate(coming)]
    idle = set(range(servers))
    while events:
        now, arrives, number = heapq.heappop(events)
        if arrives:
            job = coming[number]
            number = balancer(fleet, job)
            ways.append(Served(job, number, job.new))
            fleet[number].waiting.append(ways[-1])
        else:
            fleet[number].end(now)
            idle.add(number)
        server = fleet[number]
        if number in idle and (server.waiting or server.working):
            idle.remove(number)
            heapq.heappush(events, (now + server.begin(), 0, number))
    return ways, fleet


class RoundRobin:
    """One server after another."""

    def __init__(self) -> None:
        self.turn = -1

    def __call__(self, servers: Sequence[Server], job: Job) -> int:
        """The next one."""
        self.turn = (self.turn + 1) % len(servers)
        return self.turn


def least_loaded(servers: Sequence[Server], job: Job) -> int:
    """The server with the fewest tokens to read and write; the first of equals."""
    return min(range(len(servers)), key=lambda number: servers[number].load)


@dataclass(frozen=True)
class PrefixAffinity:
    """The server that a beginning belongs to, unless it has far more to do than others.

    Whose it is, is decided by rendezvous hashing: the server with the largest hash of
    beginning and server. So a server more or less moves only its own beginnings. "Far
    more" is `patience` times the mean load, and as much again as the job itself.
    """

    patience: float = 1.5

    def __call__(self, servers: Sequence[Server], job: Job) -> int:
        """Its own, or the least loaded."""
        if not job.shared:
            return least_loaded(servers, job)

        def weight(number: int) -> bytes:
            return hashlib.sha256(f"{job.prefix} {number}".encode()).digest()

        own = max(range(len(servers)), key=weight)
        mean = sum(server.load for server in servers) / len(servers)
        if servers[own].load <= self.patience * mean + job.prompt + job.new:
            return own
        return least_loaded(servers, job)
