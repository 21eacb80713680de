"""What pruning costs: SmolLM2 with weights or parts gone; a small net trained on."""
