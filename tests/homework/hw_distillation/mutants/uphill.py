"""Turns the sign: it climbs."""

LOSES = ["test_kd_gradient", "test_train_student"]
PATCHES = {
    "kd_gradient": {
        "return (kd": "return -(kd",
    },
}
