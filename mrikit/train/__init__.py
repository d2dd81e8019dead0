"""The one training loop, and what there is to learn from: images, measured scans and pictures."""
