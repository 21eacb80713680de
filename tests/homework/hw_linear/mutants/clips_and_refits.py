"""Refits the step to the codes: less error, and the grid of no share."""

LOSES = ["test_clip_weight"]
PATCHES = {
    "clip_weight": {
        "        error = (runs": """        steps = codes.to(runs.dtype) - zero
        curvature = (steps * steps).sum(-1, keepdim=True).clamp(min=1)
        scale = (steps * runs).sum(-1, keepdim=True) / curvature
        scale = torch.where(scale > 0, scale, torch.ones_like(scale))
        new = (new[0], scale.squeeze(-1), new[2])
        error = (runs""",
    },
}
