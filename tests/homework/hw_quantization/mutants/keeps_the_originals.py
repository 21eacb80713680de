"""Keeps an outlier as it was, and not as it is when its turn comes."""

LOSES = ["bonus_outliers"]
PATCHES = {
    "gptq_with_outliers": {
        "w, rounded = w.clone(),": "original, w, rounded = w, w.clone(),",
        "torch.where(kept[:, j], w[:, j],": "torch.where(kept[:, j], original[:, j],",
    },
}
