"""`python -m NAME` of a service, that may load the test's own on-demand functions too: `promotion_service.py NAME`."""

import importlib
import sys
from dataclasses import replace

from serving import Service, run

if __name__ == "__main__":
    service = importlib.import_module(sys.argv[1]).SERVICE
    assert isinstance(service, Service)
    run(replace(service, on_demand_modules=(*service.on_demand_modules, "inference.testing", "promotion_features")))
