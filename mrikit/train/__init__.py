"""The one training loop: what to learn comes from elsewhere, how it is learned is here."""
