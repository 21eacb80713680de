"""Training of a model in the bits that it will be stored in (lecture 08).

Read in order: `layers`, linear layers whose weights are rounded in every pass;
`activations`, hooks that round inputs and caches; `own_text`, what a model writes for
itself; `imitate`, training on a teacher's logits.
"""
