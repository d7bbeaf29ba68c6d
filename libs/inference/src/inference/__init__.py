"""The scoring data plane: contract, boosters, model registry, predictor. It knows no web framework, Feast or pandas."""
