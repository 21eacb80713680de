"""Fits every group's grid to the original weights, before any correction."""

LOSES = ["test_gptq"]
PATCHES = {
    "gptq": {
        "w, rounded": "original, w, rounded",
        "w.clone(), torch.zeros_like(w)": "w, w.clone(), torch.zeros_like(w)",
        "w[:, start : start + group]": "original[:, start : start + group]",
    },
}
