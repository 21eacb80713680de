"""A few large features (lecture 04): `int8` keeps them apart, `smooth` shares them."""
