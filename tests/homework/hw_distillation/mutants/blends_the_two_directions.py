"""Takes (1 - β) of one direction and β of the other."""

LOSES = ["bonus_divergence_gradient"]
PATCHES = {
    "divergence_gradient": {
        "    if beta < 1:": """    if beta < 1:
        other = temperature * q * (slope - (q * slope).sum(-1, keepdim=True))
        return (1 - beta) * temperature * (q - log_p.exp()) + beta * other
    if False:""",
    },
}
