"""SmolLM2's last blocks, trained by what a student wrote.

Read in order: `tail` (the blocks, and texts for them), `adapters` (adapters beside four
bits, by a forward and a backward pass), `half` (fp16, by a loss scaler and a step).
"""

from lib.exercises.tuning.adapters import tuned_with
from lib.exercises.tuning.half import Run, arriving_gradients, scaled_with

__all__ = ["Run", "arriving_gradients", "scaled_with", "tuned_with"]
