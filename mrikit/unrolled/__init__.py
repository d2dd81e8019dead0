"""Unrolled networks as conditional probability flows (FLAT, arXiv 2512.03020)."""
