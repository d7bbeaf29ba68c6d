"""`python -m hourly_rate`, that may load the test's own on-demand function too."""

from dataclasses import replace

from hourly_rate import SERVICE
from serving import run

if __name__ == "__main__":
    run(replace(SERVICE, on_demand_modules=(*SERVICE.on_demand_modules, "inference.testing", "promotion_features")))
