"""What students wrote, as HTML: `shown`, and `markdown` in a child of `renderer`."""
