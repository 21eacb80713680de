"""An HTTP server that the `openai` client speaks with: `make serve`.

Read in order: `fields`, `asking` (what may be asked), `text` (tokens become text),
`service` (the engine's thread), `answers`, `handlers`, `__main__`.
"""
