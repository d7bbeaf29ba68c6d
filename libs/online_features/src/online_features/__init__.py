"""The packed Redis online store for Feast: layout, writer and vectorised reader."""
