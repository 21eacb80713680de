"""Training in few bits.

QLoRA (lecture 10), in reading order: `lora`, `qlora`, `merge`, `adapters`; the pages of
an optimizer's state in `pages` and `paged_optimizer`; `loop` trains, with `graph` and
`norms` faster on a GPU; `memory` counts.
"""
