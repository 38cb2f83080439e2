"""θ as a thing one keeps: extract, apply, save, share, export."""
