"""Compile and export a packed layer of each kind; run as a program, by test_packed.

The suite checks shapes inside each function, and no compiler sees through that.
"""

import torch

from tests.layers.test_packed import COLS, METHODS, layer_of

for method in METHODS:
    torch._dynamo.reset()  # or the ninth layer is one recompilation too many
    layer = layer_of(method, torch.Generator().manual_seed(0))
    x = torch.randn(5, COLS)
    compiled = torch.compile(layer, fullgraph=True, backend="eager")
    assert torch.equal(compiled(x), layer(x)), method
    tokens = ({0: torch.export.Dim("tokens")},)
    exported = torch.export.export(layer, (x,), dynamic_shapes=tokens).module()
    assert torch.equal(exported(x[:3]), layer(x[:3])), method
    print("whole:", method)
