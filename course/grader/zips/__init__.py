"""An LMS's zip, taken apart: `collect` tells the order in which to read."""
