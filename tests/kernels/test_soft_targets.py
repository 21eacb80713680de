"""A row's loss and gradient: by autograd, by the equations, and by the kernels."""

import math

import pytest
import torch

from lib.distill.losses import Objective, distillation_loss
from lib.kernels.soft_targets import rows as kernel

pytestmark = pytest.mark.usefixtures("poisoned")

BLOCK = 16  # in the interpreter; sizes lie on both sides of it
OBJECTIVES = [
    Objective(),
    Objective(temperature=4.0),
    Objective(kd=0.3, ce=0.7, temperature=2.0),
    Objective(kd=0.0, ce=1.0),
    Objective(beta=1.0, temperature=0.5),
    Objective(beta=0.3, ce=0.2, temperature=3.0),
]


def problem(rows, vocabulary, dtype, generator, device, scale=3.0):
    s, t = scale * torch.randn(2, rows, vocabulary, generator=generator)
    labels = torch.randint(vocabulary, (rows,), generator=generator)
    return s.to(device, dtype), t.to(device, dtype), labels.to(device)


def weights(objective):
    return {n: getattr(objective, n) for n in ("kd", "ce", "temperature", "beta")}


def exact(s, t, labels, objective):
    """Loss of each row and gradient, by autograd in float64."""
    wide = s.double().clone().requires_grad_()
    rows = zip(wide.split(1), t.double().split(1), labels.split(1), strict=True)
    each = [distillation_loss(*row, objective) for row in rows]
    (gradient,) = torch.autograd.grad(sum(each), wide)
    return torch.stack(each).detach(), gradient


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_equations_are_what_autograd_finds(objective, generator):
    s, t, labels = problem(5, 37, torch.float64, generator, "cpu")
    loss, gradient = exact(s, t, labels, objective)
    found = kernel.soft_rows(s, t, labels, **weights(objective))
    assert (found - loss).abs().max() <= 1e-12 * loss.abs().max()
    assert (s - gradient).abs().max() <= 1e-12 * gradient.abs().max()


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("vocabulary", [1, 16, 35])
def test_the_kernels_are_the_equations(objective, dtype, vocabulary, generator, device):
    s, t, labels = problem(2, vocabulary, dtype, generator, device)
    loss, gradient = exact(s, t, labels, objective)
    size = objective.kd * objective.temperature + objective.ce
    epsilon = torch.finfo(dtype).eps / 2
    for naive in (True, False):
        place = s.clone()
        found = kernel.launch(
            place, t, labels, **weights(objective), naive=naive, block=BLOCK
        )
        top = float(torch.stack((s, t)).double().abs().max()) / objective.temperature
        # A logarithm of a probability errs by some 2⁻²⁴ of the largest logit
        near = 2.0**-20 * (1 + top) * (1 + objective.temperature**2)
        assert (found - loss).abs().max() <= near
        bound = epsilon * gradient.abs() + near * size
        assert ((place.double() - gradient).abs() <= bound + 1e-7).all()


def test_large_logits_overflow_nothing(generator, device):
    s, t, labels = problem(3, 40, torch.float32, generator, device, scale=5e3)
    for naive in (True, False):
        found = kernel.launch(
            place := s.clone(), t, labels, 1.0, 1.0, 1.0, 0.0, naive=naive
        )
        assert found.isfinite().all() and place.isfinite().all()
        assert (place.sum(-1)).abs().max() <= 1e-5  # a gradient of softmax sums to 0


def test_equal_models_have_nothing_to_learn(generator, device):
    s, _, labels = problem(3, 40, torch.float32, generator, device)
    for beta in (0.0, 0.5, 1.0):
        found = kernel.launch(
            place := s.clone(), s.clone(), labels, 1.0, 0.0, 2.0, beta
        )
        assert found.abs().max() <= 1e-5 and place.abs().max() <= 1e-6


def test_no_rows_are_no_loss(device):
    s = torch.empty(0, 40, device=device)
    labels = torch.empty(0, dtype=torch.int64, device=device)
    assert kernel.launch(s, s, labels, 1.0, 0.0, 1.0, 0.0).shape == (0,)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_scaling_is_a_product_and_nothing_by_one(dtype, generator, device):
    x = torch.randn(3, 1700, generator=generator).to(device, dtype)
    for factor in (1.0, 0.37, 0.0):
        kernel.launch_scale(place := x.clone(), torch.tensor(factor, device=device))
        assert torch.equal(place, (x.float() * torch.tensor(factor)).to(dtype))


def test_the_loss_of_a_chunk_takes_the_kernel(device, generator, by_kernel):
    from lib.distill.chunked import chunked_loss

    h, known = torch.randn(2, 6, 8, generator=generator)
    head, teacher = torch.randn(2, 33, 8, generator=generator)
    labels = torch.randint(33, (6,), generator=generator)
    found = []
    for kernels in (False, True):
        if kernels:
            by_kernel("soft_rows", kernel.launch)
            by_kernel("scale_in_place", kernel.launch_scale)
        on = device if kernels else "cpu"
        w = head.to(on, copy=True).requires_grad_()
        sides = h.to(on), w, known.to(on), teacher.to(on), labels.to(on)
        loss = chunked_loss(*sides, Objective(ce=0.5), rows=4)
        (2 * loss).backward()
        found.append((loss.detach().cpu(), w.grad.cpu()))
    for ours, plain in zip(*found, strict=True):
        assert torch.allclose(ours, plain, rtol=1e-5, atol=1e-6)
    if device == "cpu":
        assert by_kernel.ran == ["soft_rows"] * 2 + ["scale_in_place"] * 2


def test_the_entry_and_what_it_refuses(generator, as_a_user):
    s, t, labels = problem(4, 9, torch.float32, generator, "cpu")
    for wrong, word in (
        ((s[:, :8], t, labels), "teacher"),
        ((s, t, labels[:3]), "labels"),
        ((s, t, labels.int()), "int32"),
        ((s.T.contiguous().T, t, labels), "strides"),
        ((s.long(), t, labels), "int64"),
        ((s.requires_grad_(), t, labels), "requires_grad=True"),
    ):
        with pytest.raises(ValueError, match=word):
            kernel.soft_rows(*wrong)
    s.requires_grad_(False)
    for name, value in (
        *(("temperature", 0.0), ("temperature", math.inf), ("beta", 1.5)),
        *(("kd", -1.0), ("ce", math.nan)),
    ):
        with pytest.raises(ValueError, match=name):
            kernel.soft_rows(s, t, labels, **{name: value})
    with pytest.raises(ValueError, match="strides"):
        kernel.scale_in_place(s.T, torch.tensor(1.0))
    for name, arguments in (
        ("soft_rows", (s, t, labels, 1.0, 0.5, 2.0, 0.3)),
        ("scale_in_place", (s, torch.tensor(2.0))),
    ):
        torch.library.opcheck(
            getattr(torch.ops.llm_compression, name),
            arguments,
            test_utils=("test_schema", "test_faketensor"),
        )
