"""Small floating-point formats: rounding there and back, and the codes themselves.

Read in order: `rounding`, `rounding_triton`, `philox` (random numbers); `codes`,
`codes_triton`.
"""

from lib.kernels.cast.codes import cast_codes
from lib.kernels.cast.rounding import fake_blocks, fake_cast

__all__ = ["cast_codes", "fake_blocks", "fake_cast"]
