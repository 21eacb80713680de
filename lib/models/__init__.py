"""Real language models: load one, walk its layers, measure it.

Read in order: `load`, `course` (our own models), `walk`, `evaluate`; `llama` (what a
block is), `hooks` (inputs), `sequential` (the one walk that changes a model);
`rescale`, `rotate`, `quantize`, `checkpoint`;
`packed_file`, `gguf_file`. The names are imported from these files, so that `python -m
lib.models.load` (which prepares SmolLM2 ahead of the first lecture) runs clean.
"""
