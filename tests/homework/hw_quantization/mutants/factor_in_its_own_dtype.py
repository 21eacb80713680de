"""Leaves U in the dtype of H, where w has another."""

LOSES = ["test_gptq"]
PATCHES = {
    "gptq": {"inverse_factor(H, damping).to(w.dtype)": "inverse_factor(H, damping)"}
}
