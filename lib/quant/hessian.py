"""The second moment of a layer's inputs, as a stream, and the factor that GPTQ reads.

    H = (2/n) Σ x xᵀ        tr(Δ H Δᵀ) = (2/n) Σ ‖Δ x‖²   for any change Δ of weights
    H + λ I = R Rᵀ,  R upper        U = R⁻¹        (H + λ I)⁻¹ = Uᵀ U,  U upper

Textbooks invert H by one Cholesky factor, then factor the inverse by another; rounding
in the inverse is what makes the second one fail. Factoring H from its last row upward
gives the same U by one factorization and one triangular solve, and H⁻¹ is never formed.

Read in order: `Hessian`, `gram`, `inverse_factor`.  Taught in notebooks/06.
Source: Frantar et al. 2022, arXiv:2210.17323, section 3; Hassibi & Stork 1992 for H.
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

LEAF = 96  # below this size a triangular solve is quicker than halving
FLOAT32_EPS = 2.0**-23
PANELS = 4  # H is symmetric: 4 panels of columns need 10 of their 16 blocks


class Hessian:
    """H = (2/n) Σ x xᵀ over all the tokens that it was shown, in any portions.

    `magnitude` is mean |x| of each feature, the statistic that AWQ reads. ValueError
    for less than one feature.
    """

    def __init__(self, features: int) -> None:
        if features < 1:
            raise ValueError(f"features={features} must be at least 1")
        self.features = features
        self.samples = 0
        self._sum: Tensor | None = None  # Σ x xᵀ, upper triangle, in float64
        self._absolute: Tensor | None = None  # Σ |x|, in float64

    def add(self, x: Float[Tensor, "... features"]) -> None:
        """Take in the tokens `x`; ValueError if one of them is not finite."""
        if x.shape[-1] != self.features:
            raise ValueError(f"x has {x.shape[-1]} features; H has {self.features}")
        tokens = x.detach().reshape(-1, self.features)
        magnitude = tokens.abs().sum(0, dtype=torch.float64)
        if not magnitude.isfinite().all():
            bad = (~tokens.isfinite()).any(1).nonzero().flatten()
            raise ValueError(
                f"{len(bad)} of {len(tokens)} calibration tokens hold NaN or infinity "
                f"(first: token {bad[0].item() if len(bad) else '?'})"
            )
        product = gram(tokens)
        self._sum = product if self._sum is None else self._sum + product
        self._absolute = (
            magnitude if self._absolute is None else self._absolute + magnitude
        )
        self.samples += len(tokens)

    @property
    def matrix(self) -> Float[Tensor, "features features"]:
        """H in float64; ValueError before the first token."""
        return self._seen(self._sum, "H") * (2 / self.samples)

    @property
    def magnitude(self) -> Float[Tensor, " features"]:
        """Mean |x| of each feature, float64; ValueError before the first token."""
        return self._seen(self._absolute, "mean |x|") / self.samples

    def to(self, device: torch.device | str) -> "Hessian":
        """The same moment, on `device`."""
        moved = Hessian(self.features)
        moved.samples = self.samples
        moved._sum = self._seen(self._sum, "H").to(device)
        moved._absolute = self._seen(self._absolute, "mean |x|").to(device)
        return moved

    def after(self, rotation: Callable[[Tensor], Tensor]) -> "Hessian":
        """The moment of `rotation(x)`, an orthogonal map of the last dimension.

        What becomes of mean |x| no second moment tells: asking for it is refused.
        """
        turned = Hessian(self.features)
        turned.samples = self.samples
        turned._sum = rotation(rotation(self._seen(self._sum, "H")).T)
        return turned

    def _seen(self, total: Tensor | None, what: str) -> Tensor:
        if total is None or self.samples == 0:
            raise ValueError(
                f"{self.samples} calibration tokens were added: {what} is undefined"
            )
        return total


@torch.library.custom_op(
    "llm_compression::gram", mutates_args=(), schema="(Tensor x) -> Tensor"
)
def gram(x: Float[Tensor, "n f"]) -> Float[Tensor, "f f"]:
    """Σ x xᵀ in float64, of sums in float32 (of float64 x: in float64).

    A registered operation: this is its code on every device, until `lib.kernels` is
    imported and brings a kernel for CUDA (lib/kernels/hessian).
    """
    return upper_gram(x if x.dtype == torch.float64 else x.float())


@gram.register_fake
def _gram_shape(x: Tensor) -> Tensor:
    return x.new_empty(x.shape[1], x.shape[1], dtype=torch.float64)


def upper_gram(x: Float[Tensor, "n f"]) -> Float[Tensor, "f f"]:
    """Σ x xᵀ by products of the upper panels only, then mirrored."""
    features = x.shape[1]
    gram = torch.zeros(features, features, dtype=torch.float64, device=x.device)
    width = math.ceil(features / PANELS)
    for start in range(0, features, width):
        stop = min(start + width, features)
        gram[:stop, start:stop] = x[:, :stop].T @ x[:, start:stop]
    return gram.triu() + gram.triu(1).T


def inverse_factor(
    hessian: Float[Tensor, "f f"], *, damping: float = 0.01
) -> Float[Tensor, "f f"]:
    """U, upper, with (H + λ I)⁻¹ = Uᵀ U and λ = damping · mean(diag H); H's dtype.

    A dead feature (H_jj = 0: never active in calibration) gets H_jj = 1. Nothing
    couples to it, so its weights are rounded to nearest and push no error onto others.
    Raises ValueError where H is not square, symmetric, finite, or positive definite
    even with its damping (fewer tokens than features make H singular: then damp it).
    """
    _check_hessian(hessian, damping)
    damped = hessian.clone()
    diagonal = damped.diagonal()
    dead = diagonal == 0
    live_mean = diagonal[~dead].mean() if (~dead).any() else diagonal.new_tensor(0.0)
    diagonal += torch.where(dead, 1.0, damping * live_mean)
    lower, failed = torch.linalg.cholesky_ex(damped.flip(0, 1))
    if failed or not lower.isfinite().all():
        spectrum = torch.linalg.eigvalsh(hessian.double())
        noise = len(hessian) * FLOAT32_EPS * spectrum.abs().amax()  # H's sums
        least = spectrum.amin().item()
        least = "0 to rounding" if abs(least) <= noise else f"{least:.3g}"
        raise ValueError(
            f"H + damping is not positive definite: damping={damping}, mean diagonal "
            f"{live_mean.item():.3g}, least eigenvalue of H {least}; raise damping "
            "or calibrate on more tokens than the layer has features"
        )
    return _inverse_of_upper(lower.flip(0, 1))


def _inverse_of_upper(r: Float[Tensor, "f f"]) -> Float[Tensor, "f f"]:
    """R⁻¹ by halves: [A B; 0 C]⁻¹ = [A⁻¹, −A⁻¹ B C⁻¹; 0, C⁻¹]; f³/3 products."""
    if len(r) <= LEAF:
        identity = torch.eye(len(r), dtype=r.dtype, device=r.device)
        return torch.linalg.solve_triangular(r, identity, upper=True)
    half, inverse = len(r) // 2, torch.zeros_like(r)
    inverse[:half, :half] = _inverse_of_upper(r[:half, :half])
    inverse[half:, half:] = _inverse_of_upper(r[half:, half:])
    inverse[:half, half:] = -inverse[:half, :half] @ (
        r[:half, half:] @ inverse[half:, half:]
    )
    return inverse


def _check_hessian(hessian: Tensor, damping: float) -> None:
    """Raise ValueError unless `hessian` could be a second moment."""
    if not (math.isfinite(damping) and damping >= 0):
        raise ValueError(f"damping={damping} must be finite and at least 0")
    if hessian.ndim != 2 or hessian.shape[0] != hessian.shape[1]:
        raise ValueError(f"H has shape {tuple(hessian.shape)}; it must be square")
    if not hessian.isfinite().all():
        count = int((~hessian.isfinite()).sum())
        raise ValueError(f"H holds {count} entries that are NaN or infinite")
    if (hessian.diagonal() < 0).any():
        raise ValueError(f"H has a negative diagonal: {hessian.diagonal().amin():.3g}")
    lopsided = (hessian - hessian.T).abs().amax()
    if lopsided > 1e-4 * hessian.abs().amax():
        raise ValueError(
            f"H is not symmetric: it differs from its transpose by {lopsided:.3g}"
        )
