"""H is a stream's second moment, U factors its inverse, or it says what is wrong."""

import pytest
import torch

from lib.quant.hessian import LEAF, Hessian, inverse_factor


def inputs(tokens=200, features=12, seed=0):
    draw = torch.Generator().manual_seed(seed)
    mix = torch.randn(features, features, dtype=torch.float64, generator=draw)
    return torch.randn(tokens, features, dtype=torch.float64, generator=draw) @ mix


@pytest.mark.parametrize("features", [1, 2, 5, 12, 33])
@pytest.mark.parametrize("cuts", [(), (1,), (50, 51, 199)])
def test_a_stream_in_any_portions_is_two_over_n_times_x_x(features, cuts):
    x = inputs(features=features)
    stream = Hessian(features)
    for portion in x.tensor_split(list(cuts)):
        stream.add(portion)
    expected = 2 / len(x) * x.T @ x
    assert torch.allclose(stream.matrix, expected, rtol=1e-12)
    assert torch.allclose(stream.magnitude, x.abs().mean(0), rtol=1e-12)
    assert stream.samples == 200


def test_tokens_of_batches_count_one_by_one():
    x = inputs(tokens=6)
    flat, batched = Hessian(12), Hessian(12)
    flat.add(x)
    batched.add(x.view(2, 3, 12))
    assert batched.samples == 6 and torch.equal(flat.matrix, batched.matrix)


def test_the_quadratic_form_is_the_mean_squared_error_of_the_outputs(generator):
    x, change = inputs(), torch.randn(3, 12, generator=generator).double()
    stream = Hessian(12)
    stream.add(x)
    form = torch.einsum("ri,ij,rj->", change, stream.matrix, change)
    assert form.item() == pytest.approx(2 / len(x) * (x @ change.T).square().sum())


@pytest.mark.parametrize("damping", [0.0, 0.01, 1.0])
@pytest.mark.parametrize("features", [12, 2 * LEAF + 1])
def test_u_factors_the_inverse(damping, features):
    stream = Hessian(features)
    stream.add(inputs(tokens=3 * features, features=features))
    h, identity = stream.matrix, torch.eye(features).double()
    kept = h.clone()
    damped = h + damping * h.diagonal().mean() * identity
    u = inverse_factor(h, damping=damping)
    assert torch.equal(h, kept), "H itself was damped"
    assert torch.equal(u, u.triu()) and (u.diagonal() > 0).all()
    assert torch.allclose(u.T @ u @ damped, identity, atol=1e-7)
    textbook = torch.linalg.cholesky(torch.linalg.inv(damped), upper=True)
    assert torch.allclose(u, textbook, rtol=1e-6), "Cholesky of the inverse says else"


def test_a_dead_feature_is_coupled_to_nothing():
    x = inputs()
    x[:, 4] = 0
    stream = Hessian(12)
    stream.add(x)
    u = inverse_factor(stream.matrix, damping=0.0)
    assert u[4, 4] == 1
    assert u[4, 5:].abs().amax() == 0 and u[:4, 4].abs().amax() == 0


def test_the_mean_that_damping_is_a_share_of_is_the_live_features():
    x = inputs()
    x[:, 4] = 0
    stream = Hessian(12)
    stream.add(x)
    live = torch.arange(12) != 4
    u = inverse_factor(stream.matrix, damping=0.1)
    alone = inverse_factor(stream.matrix[live][:, live], damping=0.1)
    assert u[4, 4] == 1 and torch.allclose(u[live][:, live], alone, rtol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_half_precision_tokens_are_summed_in_float32_at_least(dtype):
    x = inputs(tokens=4000).to(dtype)
    stream = Hessian(12)
    stream.add(x)
    exact = 2 / len(x) * x.double().T @ x.double()
    # each of 4000 products and sums rounds once, to 24 bits: at most 4000 ⋅ 2^-24
    assert stream.matrix.dtype == torch.float64
    assert (stream.matrix - exact).abs().max() < 4000 * 2**-24 * exact.diagonal().max()
    assert stream.magnitude.dtype == torch.float64
    assert torch.allclose(stream.magnitude, x.double().abs().mean(0), rtol=1e-12)


def test_a_moved_moment_is_the_same_moment():
    x, stream = inputs(), Hessian(12)
    stream.add(x[:50])
    moved = stream.to("cpu")
    assert torch.equal(moved.matrix, stream.matrix)
    assert torch.equal(moved.magnitude, stream.magnitude)
    moved.add(x[50:])
    assert moved.samples == 200 and stream.samples == 50
    assert torch.allclose(moved.matrix, 2 / 200 * x.T @ x, rtol=1e-12)


def test_fewer_tokens_than_features_need_damping():
    stream = Hessian(12)
    stream.add(inputs(tokens=5))
    with pytest.raises(ValueError, match=r"not positive definite: damping=0\.0"):
        inverse_factor(stream.matrix, damping=0.0)
    assert inverse_factor(stream.matrix, damping=0.01).isfinite().all()


def test_no_features_at_all_alive():
    assert torch.equal(inverse_factor(torch.zeros(3, 3)), torch.eye(3).double())


def test_bad_calibration_is_refused_with_its_numbers():
    stream = Hessian(12)
    with pytest.raises(ValueError, match="0 calibration tokens"):
        stream.matrix  # noqa: B018
    with pytest.raises(ValueError, match="0 calibration tokens"):
        stream.to("cpu")
    bad = inputs(tokens=9)
    bad[4, 2] = torch.nan
    bad[7, 0] = torch.inf
    with pytest.raises(ValueError, match=r"2 of 9 calibration tokens.*first: token 4"):
        stream.add(bad)
    assert stream.samples == 0, "a refused portion must leave no trace"
    with pytest.raises(ValueError, match="x has 5 features; H has 12"):
        stream.add(torch.zeros(3, 5))
    with pytest.raises(ValueError, match="features=0"):
        Hessian(0)


@pytest.mark.parametrize(
    ("h", "message"),
    [
        (torch.ones(2, 3), "must be square"),
        (torch.tensor([[1.0, torch.nan], [0, 1]]), "1 entries that are NaN"),
        (torch.tensor([[-1.0, 0], [0, 1]]), "negative diagonal"),
        (torch.tensor([[1.0, 0.5], [0, 1]]), "not symmetric"),
    ],
)
def test_what_is_no_second_moment(h, message, as_a_user):
    with pytest.raises(ValueError, match=message):
        inverse_factor(h)


@pytest.mark.parametrize("damping", [-0.1, float("nan"), float("inf")])
def test_damping_is_a_number(damping):
    with pytest.raises(ValueError, match="damping="):
        inverse_factor(torch.eye(2), damping=damping)
