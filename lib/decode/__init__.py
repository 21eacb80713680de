"""Decoding: a model writes, for one request or many at once, fast and as it should.

Read in order: `llama` (the forward pass, over spans of tokens), `cache`, `paged`,
`kivi` (what it remembers), `sampling` (which token is next), `drafts`, `speculative`
and `law` (several tokens a pass, and a proof), `requests` and `batching` (many at
once), `graph` (a token a text, fast on a GPU); `routing` (to whom), and `server`.
"""
