"""Takes the gradient of KL(q ‖ p)."""

LOSES = ['test_kd_gradient']
PATCHES = {
    "kd_gradient": {
        'soft = temperature * (q - p)': """slope = q.clamp(min=1e-30).log() - p.clamp(min=1e-30).log()
    soft = temperature * q * (slope - (q * slope).sum(-1, keepdim=True))""",
    },
}
