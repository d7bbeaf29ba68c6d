"""Pay of IT people in seven half-year waves of DOU's survey: learn up to 2019-06, price the people of 2019-12."""

from pipelines.training import BoosterChoice, ConformalInterval, GroupMedian, ModelDeclaration, TimeSplit
from real_data.dataset import Dataset

__all__ = ["DOU_SALARIES"]

_DOMAINS = {
    "domain_web": "Веб-разработка",
    "domain_enterprise": "Корпоративные системы",
    "domain_ecommerce": "eCommerce",
    "domain_android": "Android",
    "domain_ios": "iOS",
    "domain_finance": "Финансы и банки",
    "domain_desktop": "Desktop Applications",
    "domain_telecom": "Телекоммуникации",
    "domain_games": "Gamedev",
    "domain_embedded": "Embedded",
}
_DOMAIN_COLUMNS = ",\n    ".join(
    f"contains(coalesce(domain, ''), '{word}')::DOUBLE AS {name}" for name, word in _DOMAINS.items()
)

# A person answers a wave once; the waves have no person in common that could be known.
_ID = "'c' || strftime(wave, '%y%m') || lpad(respondent::VARCHAR, 6, '0')"

# Wages below 100 and above 15,000 USD a month are slips of the pen or jokes (63 of 67,541). The waves spell positions
# differently ("QA engineer", "QA Engineer"), so letter case does not count.
_COUNTED = "salary_usd_month BETWEEN 100 AND 15000"

_FEATURES = f"""
SELECT {_ID} AS candidate_id, wave AS event_timestamp, wave AS created_timestamp,
    lower(trim(position)) AS position,
    experience_years, current_job_years,
    date_diff('month', TIMESTAMPTZ '2016-12-01 00:00:00+00', wave)::DOUBLE AS months_since_first_wave,
    language, specialisation, city, english, company_size, company_type, education,
    {_DOMAIN_COLUMNS}
FROM raw WHERE {_COUNTED}
"""  # noqa: S608  fixed text

_LABELS = f"""
SELECT {_ID} AS candidate_id, wave AS label_time, salary_usd_month::DOUBLE AS label,
    wave > TIMESTAMPTZ '2019-07-01 00:00:00+00' AS held_out
FROM raw WHERE {_COUNTED}
"""  # noqa: S608  fixed text

_BASELINE = """
WITH known AS (
    SELECT position, experience_years, label FROM labels JOIN features USING (candidate_id) WHERE NOT held_out
),
by_group AS (SELECT position, experience_years, median(label) AS prediction FROM known GROUP BY ALL),
by_position AS (SELECT position, median(label) AS prediction FROM known GROUP BY ALL)
SELECT candidate_id,
    coalesce(by_group.prediction, by_position.prediction, (SELECT median(label) FROM known)) AS prediction
FROM labels JOIN features USING (candidate_id)
LEFT JOIN by_group USING (position, experience_years)
LEFT JOIN by_position USING (position)
WHERE held_out
"""

DOU_SALARIES = Dataset(
    name="dou_salaries",
    title="hourly_rate on DOU salary survey, waves 2016-12 … 2019-06 → 2019-12",
    file="dou_salaries.parquet",
    rule="monthly pay within 100 … 15,000 USD; positions without regard to letter case; sex and age unused; "
    "the raise of the last year unused, for it is a part of the pay",
    credit="DOU (https://dou.ua/)",
    features_sql=_FEATURES,
    labels_sql=_LABELS,
    units={"experience_years": "years", "current_job_years": "years", "months_since_first_wave": "months"},
    declaration=ModelDeclaration(
        name="hourly_rate",
        entities=("candidate_id",),
        feature_service="hourly_rate",
        label_query="""
            SELECT candidate_id, label_time, label FROM labels.hourly_rate
            WHERE label_time >= TIMESTAMPTZ '2018-06-01 00:00:00+00'
        """,
        task="regression",
        label_transform="log",
        booster=BoosterChoice(
            library="lightgbm",
            rounds=500,
            stop_after=60,
            parameters={"objective": "regression_l1", "num_leaves": 31, "learning_rate": 0.05, "cat_smooth": 30.0},
        ),
        # The pay of the newest wave says most about the next one: every part holds people of every wave.
        split=TimeSplit(train=0.86, validation=0.06, calibration=0.06, by="random"),
        output="estimate",
        unit="USD/month",
        tables=ConformalInterval(coverage=0.8, round_to=10.0),
        naive=GroupMedian(by={"position": (), "experience_years": (1, 2, 3, 4, 5, 6, 7, 8, 9, 10)}),
        gates=(),
        headline=("mae", "mdape"),
    ),
    baseline="median by position × experience, all waves up to 2019-06",
    baseline_sql=_BASELINE,
    measure="amount",
    quiet_sql="""
        SELECT candidate_id FROM labels
        WHERE NOT held_out AND label_time >= TIMESTAMPTZ '2018-06-01 00:00:00+00' ORDER BY candidate_id
    """,
)
