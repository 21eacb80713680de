"""Lets the gradient go through whoever teaches."""

LOSES = ["test_mutual_gradients"]
PATCHES = {
    "mutual_gradients": {
        """    gradient = temperature * (a - b) / len(first)
    return gradient, -gradient""": """    def both(a, b):
        slope = temperature * (a.clamp(min=1e-300) / b.clamp(min=1e-300)).log()
        return a * (slope - (a * slope).sum(-1, keepdim=True)) / len(first)

    gradient = temperature * (a - b) / len(first)
    return gradient + both(a, b), -gradient + both(b, a)""",
    },
}
