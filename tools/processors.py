"""Run tests as other processors would: other instruction sets, one and two threads.

    python tools/processors.py [pytest's arguments]

A sum in another order rounds otherwise. Each library chooses the order by what the
processor can do, so it is told to use less: PyTorch's own loops
(`ATEN_CPU_CAPABILITY`), oneDNN and MKL (its matrix products), NumPy's loops and
OpenBLAS. `make test` itself is the run with all that this processor has.

Two threads wait for each other after every product. By default who waits spins; where
others want the processor as well, it spins while the one it waits for cannot run, and a
pass that takes a second takes minutes. So they are told to sleep.

Read in order: `SETS`, `main`.
"""

import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SETS = {
    "SSE4": {
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "MKL_CBWR": "COMPATIBLE",
        "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
        "OPENBLAS_CORETYPE": "Nehalem",
        "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR",
    },
    "AVX2": {
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "MKL_CBWR": "AVX2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "OPENBLAS_CORETYPE": "Haswell",
        "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
    },
}
THREADS = (1, 2)


def main(arguments: list[str]) -> int:
    """Run pytest under each; how many of the runs failed."""
    failed = []
    for name, switches in SETS.items():
        for threads in THREADS:
            run = f"{name}, {threads} thread{'s' * (threads > 1)}"
            print(f"\n=== {run}", flush=True)
            changed = {**switches, "OMP_NUM_THREADS": str(threads)}
            changed["OMP_WAIT_POLICY"] = "PASSIVE"
            command = [sys.executable, "-m", "pytest", *arguments]
            ended = subprocess.run(command, cwd=ROOT, env={**os.environ, **changed})
            failed += [run] * bool(ended.returncode)
    print("\nfailed under:", "; ".join(failed) if failed else "none")
    return len(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
