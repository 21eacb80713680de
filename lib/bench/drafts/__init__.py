"""What drafts are worth: how many of their tokens stay, at what cost, and whether the
text's distribution stays what it was.
"""
