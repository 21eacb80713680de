"""Rounding keeps within ten times torch's own cast: 16 million floats, one thread."""

import time

import pytest
import torch

from lib.formats import BF16, FP8_E4M3, FP8_E5M2, FP16, round_to

ATTEMPTS = 8  # a busy machine spoils some of them; one good pair is enough


def cpu_seconds(call):
    """CPU time of this thread: other processes' turns do not count."""
    start = time.thread_time()
    call()
    return time.thread_time() - start


@pytest.mark.parametrize(
    ("fmt", "dtype"),
    [
        (FP16, torch.float16),
        (BF16, torch.bfloat16),
        (FP8_E4M3, torch.float8_e4m3fn),
        (FP8_E5M2, torch.float8_e5m2),
    ],
    ids=lambda a: getattr(a, "name", ""),
)
def test_rounding_takes_at_most_ten_casts_there_and_back(fmt, dtype):
    """torch's cast and the cast back leave what `round_to` leaves: rounded float32."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        x = torch.randn(1 << 24, generator=torch.Generator().manual_seed(0))
        for _ in range(ATTEMPTS):
            theirs = cpu_seconds(lambda: x.to(dtype).float())
            ours = cpu_seconds(lambda: round_to(x, fmt))
            if ours <= 10 * theirs:
                return
    finally:
        torch.set_num_threads(threads)
    pytest.fail(f"{ours:.3f} s against {theirs:.3f} s: over 10x, {ATTEMPTS} times")
