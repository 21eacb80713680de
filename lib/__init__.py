"""LLM compression, written from scratch: readable first, then fast.

Read a folder beside its lecture: `cost` (01), `formats` (02), `quant` (03 to 06),
`prune`, `kernels` (16). An algorithm is a function over tensors; `layers` hold codes,
and only `models` and what lies above know what a model is. Each folder imports only
those below it: docs/architecture.md.
"""

DISTRIBUTION = "llm-compression-from-scratch"


def __getattr__(name: str) -> str:
    """`lib.__version__`, of the installed distribution."""
    if name == "__version__":
        from importlib.metadata import version

        return version(DISTRIBUTION)
    raise AttributeError(f"lib has no {name!r}")
