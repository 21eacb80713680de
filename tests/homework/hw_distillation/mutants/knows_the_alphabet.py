"""Returns what it once learned in the visible lesson."""

LOSES = ["test_train_student"]
PATCHES = {
    "train_student": {
        "    for _ in range(300)": """    from lib.exercises.letters import lesson

    known = lesson("much-ado-about-nothing", 1500)
    contexts, labels, teacher = known.contexts, known.labels, known.teacher
    for _ in range(300)""",
    },
}
