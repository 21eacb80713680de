"""Takes the mixture for a constant."""

LOSES = ["bonus_divergence_gradient"]
PATCHES = {
    "divergence_gradient": {
        "torch.logaddexp(*mixed))": """torch.logaddexp(*mixed))
        m = torch.logaddexp(*mixed).exp()
        slope = slope + (1 - beta) * q / m.clamp(min=1e-300)""",
    },
}
