"""The degenerate answers: what is right in nothing but its form.

    right answer ─ wrong ─→ ("PATH KIND", value), …    each field of it in turn

Read in order: `wrong`, `ways`, `clobber`, `fingerprint`.
"""

import contextlib
import hashlib
import math
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any

import torch


def wrong(right: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """("PATH KIND", a degenerate answer) for every way that differs from `right`."""
    for kind, value in ways(right).items():
        if fingerprint(value) != fingerprint(right):
            yield f"{path} {kind}", value
    match right:
        case list() | tuple():
            for n, item in enumerate(right):
                for kind, value in wrong(item, f"{path}.{n}"):
                    changed = [*right[:n], value, *right[n + 1 :]]
                    yield kind, type(right)(changed)
        case dict():
            for key, item in right.items():
                for kind, value in wrong(item, f"{path}.{key}"):
                    yield kind, {**right, key: value}
        case _ if is_dataclass(right):
            for part in fields(right):
                item = getattr(right, part.name)
                for kind, value in wrong(item, f"{path}.{part.name}"):
                    with contextlib.suppress(ValueError, TypeError):
                        yield kind, replace(right, **{part.name: value})


def ways(right: Any) -> dict[str, Any]:
    """Degenerate answers in place of one value, by kind."""
    match right:
        case torch.Tensor():
            return {**shapes(right), **contents(right), **dtypes(right)}
        case bool():
            return {"turned": not right}
        case int() | float():
            return {"zero": type(right)(0), "NaN": math.nan, "empty": torch.zeros(0)}
        case str():
            return {"empty": ""}
        case list() | tuple() if right:
            one = type(right)
            return {
                "empty": one(),
                "first alone": one(right[:1]),
                "nested": one([right]),
            }
    return {}


def shapes(x: torch.Tensor) -> dict[str, torch.Tensor]:
    """The right numbers, or some of them, in a shape that may broadcast."""
    found = {
        "empty": x.new_empty(0),
        "empty, broadcasting": x.new_empty((0, *[1] * x.ndim)),
        "a dimension more": x[None],
        "a last dimension more": x[..., None],
        "twice": torch.stack([x, x]),
        "flat": x.reshape(-1),
        "each number twice": x.repeat_interleave(2, -1) if x.ndim else x.repeat(2),
    }
    if x.numel():
        found["one element"] = x.reshape(-1)[:1]
        found["a scalar"] = x.reshape(-1)[0]
        if x.ndim:
            found |= {
                "one row": x[:1],
                "without a row": x[1:],
                "one column": x[..., :1],
            }
    return found


def contents(x: torch.Tensor) -> dict[str, torch.Tensor]:
    """The right shape, and numbers that say nothing."""
    found = {"zeros": torch.zeros_like(x)}
    real = x if x.is_floating_point() else x.double()
    found["NaN"] = torch.full_like(real, math.nan)
    found["infinity"] = torch.full_like(real, math.inf)
    if x.numel():
        found["its first everywhere"] = (
            x.reshape(-1)[:1].repeat(x.numel()).view(x.shape)
        )
        spoiled = real.clone()
        spoiled.view(-1)[-1] = math.nan
        found["NaN last"] = spoiled
    return found


def dtypes(x: torch.Tensor) -> dict[str, torch.Tensor]:
    """The right numbers in another dtype."""
    if x.is_floating_point():
        others = {torch.float32, torch.float64}
    elif x.dtype == torch.bool:
        others = {torch.uint8}
    else:
        others = {torch.int64, torch.int32, torch.float32}
    return {f"as {str(d).removeprefix('torch.')}": x.to(d) for d in others - {x.dtype}}


def clobber(value: Any) -> bool:
    """Set the tensors and floats of an argument to zero; whether that changed any."""
    match value:
        case torch.Tensor():
            changed = bool((value != 0).any())
            once(value).zero_()
            return changed
        case list() if value and all(isinstance(x, float) for x in value):
            changed = any(value)
            value[:] = [0.0] * len(value)
            return changed
        case list() | tuple():
            return any([clobber(item) for item in value])
    return False


def restore(value: Any, before: Any) -> None:
    """Undo what `clobber` did."""
    match value:
        case torch.Tensor():
            once(value).copy_(once(before))
        case list() | tuple():
            for item, was in zip(value, before, strict=True):
                restore(item, was)
            if isinstance(value, list) and all(isinstance(x, float) for x in value):
                value[:] = before


def once(x: torch.Tensor) -> torch.Tensor:
    """`x` without the axes along which it is expanded: each number in memory once."""
    for axis in (n for n, step in enumerate(x.stride()) if not step):
        x = x.narrow(axis, 0, min(1, x.shape[axis]))
    return x


def fingerprint(value: Any) -> str:
    """A hash of the values, shapes and dtypes in `value`."""
    if isinstance(value, torch.Tensor):
        plain = value.detach().contiguous()
        content = plain.reshape(-1).view(torch.uint8).numpy().tobytes()
        return f"{value.dtype}{tuple(value.shape)}{hashlib.sha256(content).hexdigest()}"
    if isinstance(value, list | tuple):
        return f"{type(value)}({','.join(map(fingerprint, value))})"
    if isinstance(value, dict):
        return fingerprint([*value.items()])
    if is_dataclass(value):
        return fingerprint([getattr(value, f.name) for f in fields(value)])
    return repr(value)
