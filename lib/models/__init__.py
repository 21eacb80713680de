"""Real language models: load one, walk its layers, measure it.

Nothing else of the course knows what a model is. Read in order: `load`, `walk`,
`evaluate`. The names are imported from these files, so that `python -m lib.models.load`
(which prepares SmolLM2 ahead of the first lecture) runs clean.
"""
