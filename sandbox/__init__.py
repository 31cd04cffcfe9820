"""Voice sandbox: training on voices that stay sealed."""
