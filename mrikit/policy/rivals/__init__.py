"""What a flow policy is compared with: fixed rankings, learned logits, one line at a time, and an oracle."""
