"""What serving costs: a quantized cache in perplexity, a pass in seconds."""
