"""The sample marketplace: a deterministic generator and the vocabulary of the domain."""
