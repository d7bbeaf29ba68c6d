"""The benchmark harness behind `make bench`: load generator, peers, scenarios, report."""
