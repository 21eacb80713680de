"""As much of a PTX interpreter as the kernels' own assembly needs: one warp.

It reads what Triton would hand to ptxas, so that a machine without a GPU can tell
whether the text computes what the reference does.
"""

import re

import ml_dtypes
import numpy as np

LANES = 32
START = 1024  # where shared memory begins, as on Hopper
HALVES = {"f16": np.float16, "bf16": ml_dtypes.bfloat16}


def run(
    text: str,
    inputs: list[np.ndarray],
    outputs: int,
    shared: dict[str, np.ndarray] | None = None,
    *,
    alone: bool = True,
) -> list[np.ndarray]:
    """The outputs $0 … of a block; the inputs follow them, 32 lanes of uint32 each.

    `shared` names arrays of words in shared memory, side by side from `START` on. Two
    lanes that load may not want one bank, unless `alone` is False.
    """
    registers = {"%laneid": np.arange(LANES, dtype=np.uint32)}
    shared, place = shared or {}, START
    for name, words in shared.items():
        registers[name] = np.full(LANES, place, np.uint32)
        place += words.nbytes
    memory = np.concatenate([np.zeros(START // 4, np.uint32), *shared.values()])
    registers |= {f"${outputs + k}": value for k, value in enumerate(inputs)}

    def value(name):
        if name in registers:
            return registers[name]
        return np.full(LANES, int(name, 0) & 0xFFFFFFFF, np.uint32)

    for statement in text.strip("{}\n ").split(";"):
        words = statement.split(None, 1)
        if not words or words[0] == ".reg":
            continue
        to, *sources = (name.strip(" []") for name in words[1].split(","))
        if words[0] == "ld.shared.b32":
            at = value(sources[0]) // 4
            if alone:
                assert len(set(at % LANES)) == LANES, "two lanes wait for one bank"
            registers[to] = memory[at]
            continue
        if words[0] == "st.shared.v4.b32":
            for k, name in enumerate(sources):
                memory[value(to) // 4 + k] = value(name.strip("{}"))
            continue
        registers[to] = _step(words[0], [value(name) for name in sources])
    place = START // 4
    for words in shared.values():
        words[:] = memory[place : place + len(words)]
        place += len(words)
    return [registers[f"${k}"] for k in range(outputs)]


def _step(operation: str, s: list[np.ndarray]) -> np.ndarray:
    """One instruction on all lanes."""
    if operation in ("mov.b32", "mov.u32"):
        return s[0]
    if operation == "and.b32":
        return s[0] & s[1]
    if operation == "shr.u32":
        return s[0] >> s[1]
    if operation == "shl.b32":
        return s[0] << s[1]
    if operation == "add.u32":
        return s[0] + s[1]
    if operation == "mul.lo.u32":
        return s[0] * s[1]
    if operation == "mad.lo.u32":
        return s[0] * s[1] + s[2]
    if operation == "setp.ne.b32":
        return s[0] != s[1]
    if operation == "selp.b32":
        return np.where(s[2], s[0], s[1])
    if operation == "lop3.b32":  # bit i of the table is the result for bits abc = i
        cases = [
            np.bitwise_and.reduce(
                [x if i >> 2 - k & 1 else ~x for k, x in enumerate(s[:3])]
            )
            for i in range(8)
            if s[3][0] >> i & 1
        ]
        return np.bitwise_or.reduce(cases)
    if operation == "prmt.b32":  # nibbles of the selector name bytes of b and a
        both = s[1].astype(np.uint64) << 32 | s[0]
        picks = [int(s[2][0]) >> 4 * k & 15 for k in range(4)]
        found = [both >> 8 * (pick & 7) & 255 for pick in picks]
        found = [  # from 8 on a byte's sign, eight times
            255 * (byte >> 7) if pick > 7 else byte
            for pick, byte in zip(picks, found, strict=True)
        ]
        return sum(byte << 8 * k for k, byte in enumerate(found)).astype(np.uint32)
    if operation == "shfl.sync.idx.b32":
        clamp, segment = s[2][0] & 31, s[2][0] >> 8 & 31
        lane = np.arange(LANES)
        source = lane & segment | s[1].astype(int) & 31 & ~segment
        last = lane & segment | clamp & ~segment
        assert (source <= last).all() and s[3][0] == 0xFFFFFFFF
        return s[0][source]
    if match := re.fullmatch(r"sub\.rn\.(b?f16)x2", operation):
        dtype = HALVES[match[1]]
        a, b = (x.view(np.uint16).view(dtype) for x in s)
        return (a - b).astype(dtype).view(np.uint16).view(np.uint32)
    raise NotImplementedError(operation)
