"""A simulated fleet loses no job, waits as theory says, and shares the load."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.decode.routing.balance import (
    Job,
    PrefixAffinity,
    RoundRobin,
    Server,
    StepTimes,
    least_loaded,
    simulate,
)

TIMES = StepTimes(fixed=0.010, prompt_token=0.0002, text=0.0005)
BALANCERS = {
    "round robin": RoundRobin,
    "least loaded": lambda: least_loaded,
    "prefix affinity": PrefixAffinity,
}
JOBS = st.builds(
    Job,
    arrival=st.floats(0, 5),
    prompt=st.integers(9, 300),
    new=st.integers(1, 40),
    prefix=st.integers(0, 5),
    shared=st.integers(0, 8),
)


def traffic(count, rate, seed, *, prefixes=1, shared=0):
    draw = np.random.default_rng(seed)
    arrivals = np.cumsum(draw.exponential(1 / rate, count))
    sizes = np.clip(draw.lognormal(3.5, 1.2, count), 1, 2000).astype(int)
    return [
        Job(float(t), 32 + shared, int(n), int(draw.integers(prefixes)), shared)
        for t, n in zip(arrivals, sizes, strict=True)
    ]


@given(
    st.lists(JOBS, max_size=40),
    st.sampled_from(sorted(BALANCERS)),
    st.integers(1, 4),
    st.integers(1, 5),
)
def test_every_job_is_served_once_and_no_faster_than_it_can_be(jobs, name, n, batch):
    ways, fleet = simulate(jobs, BALANCERS[name](), TIMES, servers=n, batch=batch)
    assert sorted(jobs, key=lambda job: job.arrival) == [way.job for way in ways]
    for way in ways:
        job = way.job
        least = TIMES.of(job.prompt - job.shared, 0)
        assert way.first - job.arrival >= least * (1 - 1e-9)
        rest = way.finished - way.first
        assert rest >= (job.new - 1) * TIMES.of(0, 1) * (1 - 1e-9)
        assert way.left == 0
    assert all(not server.load for server in fleet)


@given(st.lists(JOBS, max_size=25))
def test_one_server_leaves_nothing_to_choose(jobs):
    ends = {
        tuple(way.finished for way in simulate(jobs, b(), TIMES, servers=1)[0])
        for b in BALANCERS.values()
    }
    assert len(ends) == 1


def test_one_at_a_time_waits_as_pollaczek_and_khinchine_say():
    """M/D/1: the mean wait is ρ s / (2 (1 − ρ)), for service time s and load ρ."""
    service, load, means = TIMES.of(50, 0), 0.7, []
    for seed in range(8):
        draw = np.random.default_rng(seed)
        arrivals = np.cumsum(draw.exponential(service / load, 4000))
        jobs = [Job(float(t), 50, 1) for t in arrivals]
        ways, _ = simulate(jobs, RoundRobin(), TIMES, servers=1, batch=1)
        means.append(np.mean([w.first - w.job.arrival for w in ways]) - service)
    expected = load * service / (2 * (1 - load))
    error = np.std(means, ddof=1) / np.sqrt(len(means))
    assert abs(np.mean(means) - expected) < 5 * error


def test_who_looks_at_the_load_keeps_the_slowest_tenth_shorter():
    late = {}
    for name in ("round robin", "least loaded"):
        waits = []
        for seed in range(5):
            jobs = traffic(400, 3.0, seed)
            ways, _ = simulate(jobs, BALANCERS[name](), TIMES, batch=2)
            waits += [way.first - way.job.arrival for way in ways]
        late[name] = np.quantile(waits, 0.9)
    assert late["least loaded"] < late["round robin"]


def test_affinity_reads_the_fewest_beginnings():
    jobs = traffic(300, 4.0, 0, prefixes=24, shared=400)
    reused = {
        name: sum(s.reused for s in simulate(jobs, b(), TIMES, prefixes=8)[1])
        for name, b in BALANCERS.items()
    }
    assert reused["prefix affinity"] == max(reused.values())
    assert reused["prefix affinity"] > 1.5 * reused["round robin"]


def test_a_server_more_moves_only_beginnings_that_become_its_own():
    idle = [Server(TIMES, batch=1, prefixes=1) for _ in range(5)]
    jobs = [Job(0.0, 9, 1, prefix, 8) for prefix in range(200)]
    before = [PrefixAffinity()(idle[:4], job) for job in jobs]
    after = [PrefixAffinity()(idle, job) for job in jobs]
    assert all(a in (b, 4) for b, a in zip(before, after, strict=True))
    assert 20 < after.count(4) < 70  # a fifth of 200, in expectation


def test_times_are_fitted_from_passes():
    passes = [(r, t, TIMES.of(r, t)) for r, t in ((0, 1), (0, 8), (100, 3), (64, 0))]
    fitted = StepTimes.fit(passes)
    assert fitted.fixed == pytest.approx(TIMES.fixed)
    assert fitted.prompt_token == pytest.approx(TIMES.prompt_token)
    assert fitted.text == pytest.approx(TIMES.text)
    with pytest.raises(ValueError, match="2 passes do not tell"):
        StepTimes.fit(passes[:2])
    with pytest.raises(ValueError, match="3 passes do not tell"):
        StepTimes.fit([passes[0]] * 3)


def test_what_cannot_be_is_refused():
    for wrong in ({"new": 0}, {"prompt": 0}, {"shared": 9}, {"arrival": -1.0}):
        with pytest.raises(ValueError, match="Job"):
            Job(**{"arrival": 0.0, "prompt": 9, "new": 1} | wrong)
    with pytest.raises(ValueError, match="servers=0"):
        simulate([], RoundRobin(), TIMES, servers=0)
