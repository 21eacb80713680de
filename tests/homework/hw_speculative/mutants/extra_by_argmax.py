"""Takes the likeliest token where all guesses are accepted."""

LOSES = ["bonus_verify", "bonus_sample"]
PATCHES = {
    "verify": {
        "draft), p[-1]": "draft), torch.eye(p.shape[1]).double()[p[-1].argmax()]",
    },
}
