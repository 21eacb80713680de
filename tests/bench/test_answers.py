"""The ways that the benchmark compares answer alike, on a model that is no matter."""

import copy

import pytest
import torch

from lib.bench.serving.answers import alternating, engine, left_padded
from lib.decode.requests import Request
from lib.layers.blocked import block_weights
from tests.conftest import llama_of

REQUESTS = [
    Request((5, 6, 7), 9),
    Request((11, 3, 8, 2, 30, 31, 9), 1),
    Request((1,), 5),
]


@pytest.mark.parametrize("count", [1, 3])
def test_every_way_gives_the_same_answers(count):
    plain = llama_of(vocab_size=300)
    ways = {"theirs": lambda asked: left_padded(plain, asked)}
    ways["ours"] = lambda asked: engine(plain, asked)
    if torch.backends.mkldnn.is_available():
        blocked = copy.deepcopy(plain)
        block_weights(blocked)
        ways["blocked"] = lambda asked: engine(blocked, asked)
    rows = alternating(ways, REQUESTS[:count], runs=2)
    assert all(row["differ"] == 0 for row in rows.values())
    assert all(len(row["seconds"]) == 2 for row in rows.values())


def test_an_answer_that_differs_is_counted():
    ways = {"a": lambda asked: [[1], [2]], "b": lambda asked: [[1], [3]]}
    rows = alternating(ways, REQUESTS[:2], runs=1)
    assert (rows["a"]["differ"], rows["b"]["differ"]) == (0, 1)
