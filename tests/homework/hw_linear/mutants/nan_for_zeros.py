"""Divides 0 by 0 where all weights are 0."""

LOSES = ["test_zero_point_quantize"]
PATCHES = {
    "zero_point_quantize": {
        """    scale = torch.where(scale > 0, scale, torch.ones_like(scale))
""": "",
    },
}
