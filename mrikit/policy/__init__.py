"""Sampling policies learned by flow matching (arXiv 2606.00078), and their rivals on equal terms."""
