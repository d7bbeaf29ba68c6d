"""One file a group of rows of the table; each measures on a `Stage` and adds to an `Outcome`."""
