"""Makes the caller's states one long."""

LOSES = ["test_triple_loss"]
PATCHES = {
    "triple_loss": {
        "    h, known =": """    student[1].div_(student[1].norm(dim=-1, keepdim=True))
    h, known =""",
    },
}
