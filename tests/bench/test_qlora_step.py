"""The benchmark of a QLoRA step learns where there is no GPU, and claims no time."""

import pytest

from lib.bench import qlora_step


@pytest.mark.parametrize("way", ["ours", "ours, recorded"])
def test_without_a_gpu_it_trains_and_claims_nothing(way):
    row = qlora_step.measure(way, "tiny", 2, 16, "cpu")
    assert row.last_loss < row.first_loss
    assert row.ms is row.peak_bytes is row.floor_ms is None
    hidden, inner, layers = 256, 512, 2
    ends = 2 * 2 * hidden + 2 * (hidden + hidden // 2) + 3 * (hidden + inner)
    moments = 8 * qlora_step.RANK * layers * ends
    assert row.pages_bytes % qlora_step.PAGE == 0
    assert moments <= row.pages_bytes < moments + qlora_step.PAGE
