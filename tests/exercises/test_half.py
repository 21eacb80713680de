"""A homework's training in fp16: a scaler and a step together, and neither alone."""

import pytest
import torch

from lib.exercises.tuning import arriving_gradients, scaled_with


def scale(now, streak, found_inf, interval, lowest, highest):
    if found_inf:
        return max(now / 2, lowest), 0
    if streak + 1 < interval:
        return now, streak + 1
    return min(now * 2, highest), 0


def step(master, grads, factor, rate, clip):
    new, skipped = master, not all(g.isfinite().all() for g in grads)
    if not skipped:
        u = [g.float() / factor for g in grads]
        norm = torch.cat([v.flatten() for v in u]).norm().item()
        u = [v * (clip / norm if norm > clip else 1.0) for v in u]
        new = [w - rate * v for w, v in zip(master, u, strict=True)]
    return new, [w.half() for w in new], skipped


def test_a_scaler_and_a_step_reach_the_target_of_the_homework():
    run = scaled_with(scale, step)
    fell = run.before - run.after
    assert fell > 0.2, f"the loss fell by {fell:.3f}; the target asks 0.15"
    assert 0 < run.skipped < 12 and run.scale < 2.0**37


def test_fp16_alone_learns_nothing():
    run = scaled_with(lambda *_: (1.0, 0), step)
    assert abs(run.before - run.after) < 0.01


def test_a_scale_that_never_backs_off_takes_no_step():
    run = scaled_with(lambda now, streak, *_: (now, streak), step, tries=3)
    assert run.skipped == 3 and run.before == run.after


def test_without_a_scale_fp16_loses_the_gradients_that_arrive():
    g = arriving_gradients()
    assert g.dtype == torch.float32 and bool((g != 0).any())
    lost = [((g[g != 0] * s).half() == 0).double().mean() for s in (1.0, 2.0**30)]
    assert lost[0] > 0.99 and lost[1] < 0.02


def with_copy(change):
    def changed(master, *given):
        new, working, skipped = step(master, *given)
        return new, change(working), skipped

    return changed


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda master, *_: (master, master, True), "working copy is no list"),
        (with_copy(lambda copies: [w.T for w in copies]), "has the shapes"),
        (with_copy(lambda copies: [w / 0 for w in copies]), "not finite"),
        (with_copy(lambda copies: copies[:3]), "has the shapes"),
        (lambda *_: (None, None, False), "master is no list"),
    ],
)
def test_an_answer_of_another_form_is_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        scaled_with(scale, wrong, tries=1)


def test_a_scale_that_is_no_positive_number_is_refused():
    with pytest.raises(ValueError, match="no positive number"):
        scaled_with(lambda *_: (0.0, 0), step, tries=1)
