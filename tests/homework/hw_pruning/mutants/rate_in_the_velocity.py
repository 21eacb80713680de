"""The velocity holds the rate: right weights, another velocity."""

LOSES = ["test_masked_step"]
PATCHES = {
    "masked_step": {
        "momentum * velocity + grad": "momentum * velocity + rate * grad",
        "w - rate * velocity": "w - velocity",
    },
}
