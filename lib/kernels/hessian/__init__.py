"""H += x xᵀ, in half of the products. Read `gram`, then `gram_triton`."""

from lib.kernels.hessian.gram import add_gram

__all__ = ["add_gram"]
