"""Who and what is scored."""

from feast import Entity, ValueType

candidate = Entity(
    name="candidate",
    join_keys=["candidate_id"],
    value_type=ValueType.STRING,
    description="A person on the marketplace: c0000001, c0000002, …",
)
job = Entity(
    name="job",
    join_keys=["job_id"],
    value_type=ValueType.STRING,
    description="A job that a company offers: j0000001, j0000002, …",
)
