"""Each kernel beside the libraries that people use; `rows` has what they share."""
