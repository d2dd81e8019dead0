"""Score priors: what images look like at every noise level, learned without knowing how they will be measured."""
