"""From a file to points: `parsing`, `intake`, then `referee`, `session`, `outputs`."""
