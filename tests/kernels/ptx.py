"""As much of a PTX interpreter as the kernels' own assembly needs: one warp, no memory.

It reads what Triton would hand to ptxas, so that a machine without a GPU can tell
whether the text computes what the reference does.
"""

import re

import ml_dtypes
import numpy as np

LANES = 32
HALVES = {"f16": np.float16, "bf16": ml_dtypes.bfloat16}


def run(text: str, inputs: list[np.ndarray], outputs: int) -> list[np.ndarray]:
    """The outputs $0 … of a block; the inputs follow them, 32 lanes of uint32 each."""
    registers = {"%laneid": np.arange(LANES, dtype=np.uint32)}
    registers |= {f"${outputs + k}": value for k, value in enumerate(inputs)}

    def value(name):
        if name in registers:
            return registers[name]
        return np.full(LANES, int(name, 0) & 0xFFFFFFFF, np.uint32)

    for statement in text.strip("{}\n ").split(";"):
        words = statement.split(None, 1)
        if not words or words[0] == ".reg":
            continue
        to, *sources = (name.strip() for name in words[1].split(","))
        registers[to] = _step(words[0], [value(name) for name in sources])
    return [registers[f"${k}"] for k in range(outputs)]


def _step(operation: str, s: list[np.ndarray]) -> np.ndarray:
    """One instruction on all lanes."""
    if operation in ("mov.b32", "mov.u32"):
        return s[0]
    if operation == "and.b32":
        return s[0] & s[1]
    if operation == "shr.u32":
        return s[0] >> s[1]
    if operation == "setp.ne.b32":
        return s[0] != s[1]
    if operation == "selp.b32":
        return np.where(s[2], s[0], s[1])
    if operation == "lop3.b32":
        assert s[3][0] == 0xEA, "0xEA is (a & b) | c"
        return s[0] & s[1] | s[2]
    if operation == "prmt.b32":
        assert s[2][0] == 0x5410, "0x5410 is b's lower half above a's"
        return s[0] & 0xFFFF | s[1] << 16
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
