"""The course's own models.

Read in order: `files` (where they are, and how the draft is put together),
`frequent_head`; the weights and their cards lie in `weights`.
"""
