"""Training in few bits: seeds that diverge, weights without masters, real FP8."""
