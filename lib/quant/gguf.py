"""GGUF's blocks of quantized weights, written and read byte by byte; and a whole file.

    Q8_0   32 weights, 34 bytes   w = d q            d | q: 32 int8
    Q4_0   32 weights, 18 bytes   w = d (q − 8)      d | q: 16 bytes of two nibbles
    Q4_1   32 weights, 20 bytes   w = d q + m        d | m | q
    Q4_K  256 weights, 144 bytes  w = d σ_i q − e μ_i, i = 1 … 8 runs of 32
                                  d | e | 6-bit σ and μ in 12 bytes | q: 128 bytes

d, m, e are fp16, little-endian. A byte of Q4_0 or Q4_1 holds weights j and j + 16; a
byte of Q4_K holds weight j of one run and weight j of the next. That is 8.5, 4.5, 5 and
4.5 bits a weight. Blocks run along rows, which must be whole blocks.

Guarantees, held by tests against the package `gguf`: reading agrees with it bit for
bit; writing Q8_0, Q4_0 and Q4_1 gives its bytes. It has no writer for Q4_K: ours
searches the steps of each run (`_fit_run`), and errs less than Q4_0 at equal bits.

Read in order: `BLOCKS`, `encode`, `decode`; the whole file is gguf_file.py.
Taught in notebooks/06.
Source: the ggml project's description of its quantized types; k-quants by I. Kawrakow.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from lib.quant.uniform.grid import checked_matrix

RUN = 32  # the weights that share one step in each of these formats
CANDIDATES = 16  # steps tried for each run of Q4_K


@dataclass(frozen=True)
class Block:
    """How many weights a block holds, and in how many bytes."""

    weights: int
    nbytes: int

    @property
    def bits_per_weight(self) -> float:
        """Everything counted: there is nothing outside the blocks."""
        return 8 * self.nbytes / self.weights


BLOCKS = {
    "Q8_0": Block(32, 34),
    "Q4_0": Block(32, 18),
    "Q4_1": Block(32, 20),
    "Q4_K": Block(256, 144),
}


def encode(w: Float[Tensor, "rows cols"], kind: str) -> UInt8[Tensor, "rows bytes"]:
    """The bytes of `w` in blocks of `kind`.

    Steps below fp16's least, 2^-24, become 0, and their weights with them. ValueError
    if rows are not whole blocks, and for steps that exceed fp16's largest number.
    """
    block = _block(kind)
    w = checked_matrix(w).float()
    rows, cols = w.shape
    if cols % block.weights:
        raise ValueError(
            f"{kind} needs rows of a multiple of {block.weights} weights, not {cols}"
        )
    write = {"Q8_0": _q8_0, "Q4_0": _q4_0, "Q4_1": _q4_1, "Q4_K": _q4_k}[kind]
    return write(w.reshape(-1, block.weights)).reshape(rows, -1)


def decode(raw: UInt8[Tensor, "rows bytes"], kind: str) -> Float[Tensor, "rows cols"]:
    """The weights in `raw`; ValueError if its rows are not whole blocks of `kind`."""
    block = _block(kind)
    if raw.dtype != torch.uint8 or raw.ndim != 2 or raw.shape[1] % block.nbytes:
        raise ValueError(
            f"{kind} needs uint8 rows of a multiple of {block.nbytes} bytes, "
            f"not {raw.dtype} {tuple(raw.shape)}"
        )
    read = {"Q8_0": _w8_0, "Q4_0": _w4_0, "Q4_1": _w4_1, "Q4_K": _w4_k}[kind]
    return read(raw.reshape(-1, block.nbytes)).reshape(len(raw), -1)


def _block(kind: str) -> Block:
    if kind not in BLOCKS:
        raise ValueError(f"kind={kind!r} is not one of {', '.join(BLOCKS)}")
    return BLOCKS[kind]


# --- blocks of 32 ---------------------------------------------------------------------


def _q8_0(w: Float[Tensor, "n 32"]) -> UInt8[Tensor, "n 34"]:
    """d = max|w| / 127, ties away from zero."""
    d = w.abs().amax(1, keepdim=True) / 127
    q = _round_away(w * _inverse(d)).to(torch.int8)
    return torch.cat([_half_bytes(d), q.view(torch.uint8)], 1)


def _w8_0(raw: UInt8[Tensor, "n 34"]) -> Float[Tensor, "n 32"]:
    return _halves(raw[:, :2]) * raw[:, 2:].contiguous().view(torch.int8)


def _q4_0(w: Float[Tensor, "n 32"]) -> UInt8[Tensor, "n 18"]:
    """The weight farthest from 0 becomes code 0, which is −8 steps, exactly."""
    far = w.gather(1, w.abs().argmax(1, keepdim=True))
    d = far / -8
    q = (w * _inverse(d) + 8.5).trunc().clamp(0, 15).to(torch.uint8)
    return torch.cat([_half_bytes(d), _nibbles(q)], 1)


def _w4_0(raw: UInt8[Tensor, "n 18"]) -> Float[Tensor, "n 32"]:
    return _halves(raw[:, :2]) * (_codes(raw[:, 2:]) - 8.0)


def _q4_1(w: Float[Tensor, "n 32"]) -> UInt8[Tensor, "n 20"]:
    """min(w) becomes code 0, max(w) code 15: 0 need not be a level, unlike ours."""
    low, high = w.amin(1, keepdim=True), w.amax(1, keepdim=True)
    d = (high - low) / 15
    q = ((w - low) * _inverse(d) + 0.5).trunc().clamp(0, 15).to(torch.uint8)
    return torch.cat([_half_bytes(d), _half_bytes(low), _nibbles(q)], 1)


def _w4_1(raw: UInt8[Tensor, "n 20"]) -> Float[Tensor, "n 32"]:
    return _halves(raw[:, :2]) * _codes(raw[:, 4:]).float() + _halves(raw[:, 2:4])


def _nibbles(q: UInt8[Tensor, "n 32"]) -> UInt8[Tensor, "n 16"]:
    """Code j in the low nibble of byte j, code j + 16 in its high nibble."""
    return q[:, :16] | q[:, 16:] << 4


def _codes(raw: UInt8[Tensor, "n 16"]) -> UInt8[Tensor, "n 32"]:
    return torch.cat([raw & 15, raw >> 4], 1)


# --- Q4_K: 8 runs of 32, whose steps and minima are 6-bit codes -----------------------


def _q4_k(w: Float[Tensor, "n 256"]) -> UInt8[Tensor, "n 144"]:
    """Steps and minima of the runs by search, then their 6 bits, then the codes."""
    runs = w.unflatten(1, (8, RUN))  # (n, 8, 32)
    step, offset = _fit_run(runs)  # w ≈ step q − offset
    d, e = (t.amax(1, keepdim=True) / 63 for t in (step, offset))
    sigma, mu = (
        (t * _inverse(top)).round().clamp(0, 63).to(torch.uint8)
        for t, top in ((step, d), (offset, e))
    )
    raw = torch.cat([_half_bytes(d), _half_bytes(e), _sixes(sigma, mu)], 1)
    step, offset = (c.unsqueeze(-1) for c in _run_constants(raw))
    q = ((runs + offset) * _inverse(step)).round().clamp(0, 15).to(torch.uint8)
    pairs = q.unflatten(1, (4, 2))  # (n, 4, 2, 32): even runs low, odd runs high
    return torch.cat([raw, (pairs[:, :, 0] | pairs[:, :, 1] << 4).flatten(1)], 1)


def _w4_k(raw: UInt8[Tensor, "n 144"]) -> Float[Tensor, "n 256"]:
    step, offset = (c.unsqueeze(-1) for c in _run_constants(raw))
    q = raw[:, 16:].unflatten(1, (4, RUN))
    codes = torch.stack([q & 15, q >> 4], 2).flatten(1, 2)  # (n, 8, 32)
    return (step * codes - offset).flatten(1)


def _fit_run(
    runs: Float[Tensor, "n 8 32"],
) -> tuple[Float[Tensor, "n 8"], Float[Tensor, "n 8"]]:
    """Step and offset >= 0 of each run: shrink the range, refit both, keep the best.

    For given codes, step and offset are a straight line's least-squares fit to the run.
    """
    low, high = runs.amin(-1).clamp(max=0), runs.amax(-1)
    best_step, best_offset = (high - low) / 15, -low
    least = torch.full_like(low, torch.inf)
    for k in range(CANDIDATES):
        step = (high - low) / (15 + 0.25 * (k - 4))
        q = (runs - low[..., None]) * _inverse(step)[..., None]
        q = q.round().clamp(0, 15)
        step, offset = _line(q, runs)
        error = (step[..., None] * q - offset[..., None] - runs).square().sum(-1)
        better = (error < least) & (step >= 0)
        least = torch.where(better, error, least)
        best_step = torch.where(better, step, best_step)
        best_offset = torch.where(better, offset, best_offset)
    return best_step, best_offset


def _line(q: Tensor, w: Tensor) -> tuple[Tensor, Tensor]:
    """Least squares w ≈ step q − offset with offset >= 0, over the last dimension."""
    mean_q, mean_w = q.mean(-1), w.mean(-1)
    centred = q - mean_q[..., None]
    step = (centred * w).sum(-1) * _inverse(centred.square().sum(-1))
    offset = step * mean_q - mean_w
    through_zero = (q * w).sum(-1) * _inverse(q.square().sum(-1))
    step = torch.where(offset < 0, through_zero, step)
    return step, offset.clamp(min=0)


def _sixes(
    sigma: UInt8[Tensor, "n 8"], mu: UInt8[Tensor, "n 8"]
) -> UInt8[Tensor, "n 12"]:
    """Bytes 0–3: σ_0…3, bytes 4–7: μ_0…3, in 6 bits, and above them the top 2 bits of
    σ_4…7 and μ_4…7, whose low 4 bits are the nibbles of bytes 8–11."""
    head = sigma[:, :4] | (sigma[:, 4:] >> 4) << 6
    middle = mu[:, :4] | (mu[:, 4:] >> 4) << 6
    tail = (sigma[:, 4:] & 15) | (mu[:, 4:] & 15) << 4
    return torch.cat([head, middle, tail], 1)


def _run_constants(
    raw: UInt8[Tensor, "n bytes"],
) -> tuple[Float[Tensor, "n 8"], Float[Tensor, "n 8"]]:
    """d σ_i and e μ_i from the first 16 bytes of each block."""
    head, middle, tail = raw[:, 4:16].split(4, 1)
    sigma = torch.cat([head & 63, (tail & 15) | (head >> 6) << 4], 1)
    mu = torch.cat([middle & 63, (tail >> 4) | (middle >> 6) << 4], 1)
    return _halves(raw[:, :2]) * sigma, _halves(raw[:, 2:4]) * mu


# --- numbers --------------------------------------------------------------------------


def _half_bytes(x: Float[Tensor, "n 1"]) -> UInt8[Tensor, "n 2"]:
    half = x.half()
    if not half.isfinite().all():
        raise ValueError(f"a block's step {x.abs().amax():.3g} exceeds fp16's 65504")
    return half.contiguous().view(torch.uint8)


def _halves(raw: UInt8[Tensor, "n 2"]) -> Float[Tensor, "n 1"]:
    return raw.contiguous().view(torch.float16).float()


def _inverse(x: Tensor) -> Tensor:
    """1 / x, and 0 where that overflows: where x is 0, or far below fp16's least."""
    inverse = 1 / x
    return torch.where(inverse.isfinite(), inverse, 0.0)


def _round_away(x: Tensor) -> Tensor:
    """Nearest integer, ties away from zero, as C's roundf."""
    whole = x.abs().floor()
    return x.sign() * (whole + ((x.abs() - whole) >= 0.5))
