"""On a real model's layers, on the same grids, GPTQ errs less than rounding."""

import torch

from lib.data.text import calibration_windows
from lib.models.hooks import stream_inputs
from lib.models.walk import linear_layers
from lib.quant.hessian import Hessian
from lib.quant.solvers.gptq import GPTQ, gptq
from lib.quant.uniform.grouped import round_to_nearest

BLOCKS = (0, 11, 29)  # the first, the one that makes a massive activation, the last


def test_every_layer_errs_less_than_rounding_on_the_same_grids(smollm2):
    model, tokenizer = smollm2
    layers = {
        name: layer
        for name, layer in linear_layers(model).items()
        if int(name.split(".")[2]) in BLOCKS
    }
    assert len(layers) == 7 * len(BLOCKS)
    moments = {name: Hessian(layer.in_features) for name, layer in layers.items()}
    windows = calibration_windows(tokenizer, count=2, window=512)
    stream_inputs(model, windows, {name: m.add for name, m in moments.items()})
    for name, layer in layers.items():
        w, h = layer.weight, moments[name].matrix.float()
        ours = gptq(w, moments[name].matrix, GPTQ(4, 64, static_groups=True))
        plain = round_to_nearest(w, bits=4, group=64)
        assert torch.equal(ours.grid.scale, plain.grid.scale), "the same grids"
        errors = [
            ((delta @ h) * delta).sum().item()
            for delta in (w - ours.dequantize(), w - plain.dequantize())
        ]
        assert errors[0] < errors[1], (
            f"{name}: {errors[0]:.4g}, rounding {errors[1]:.4g}"
        )
