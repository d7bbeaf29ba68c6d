"""The platform on one machine: supervised processes under one home, started, shown and stopped by `make`."""
