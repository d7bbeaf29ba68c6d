"""The words of the domain: every category the marketplace knows, as tuples whose positions are the codes.

Order is part of the contract of stored features and trained models: append, never reorder.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

__all__ = [
    "APPLICATION_SOURCES",
    "APPLICATION_STATUSES",
    "CHECK_METHODS",
    "COUNTRIES",
    "COUNTRY_UTC_OFFSETS",
    "DEVICES",
    "EMPLOYMENT_STATUSES",
    "EMPLOYMENT_TYPES",
    "ENGLISH_LEVELS",
    "INDUSTRIES",
    "JAPANESE_LEVELS",
    "PREFECTURES",
    "REMOTE_MODES",
    "ROLES",
    "ROLE_FAMILIES",
    "SCOUT_REPLIES",
    "SENIORITIES",
    "SKILLS",
    "SKILL_CODES",
    "SKILL_RARITY",
    "code_of",
    "codes",
    "skill_mask",
    "skills_of_mask",
]

ROLES: Final = (
    "backend_engineer",
    "frontend_engineer",
    "fullstack_engineer",
    "mobile_engineer",
    "infrastructure_engineer",
    "data_engineer",
    "machine_learning_engineer",
    "qa_engineer",
    "security_engineer",
    "engineering_manager",
    "ui_designer",
    "ux_designer",
    "product_manager",
    "project_manager",
)

ROLE_FAMILIES: Final = (0, 0, 0, 0, 1, 1, 1, 1, 1, 3, 2, 2, 3, 3)
"""Family of each role (application, platform and data, design, product), by role code."""

SKILLS: Final = (
    "python",
    "go",
    "java",
    "kotlin",
    "swift",
    "typescript",
    "javascript",
    "ruby",
    "php",
    "rust",
    "scala",
    "csharp",
    "cpp",
    "react",
    "vue",
    "nextjs",
    "nodejs",
    "rails",
    "django",
    "laravel",
    "spring",
    "flutter",
    "graphql",
    "postgresql",
    "mysql",
    "redis",
    "aws",
    "gcp",
    "azure",
    "docker",
    "kubernetes",
    "terraform",
    "linux",
    "network",
    "security",
    "spark",
    "bigquery",
    "dbt",
    "airflow",
    "pytorch",
    "llm",
    "statistics",
    "test_automation",
    "figma",
    "ui_design",
    "ux_research",
    "illustration",
    "product_strategy",
    "project_management",
    "agile",
    "people_management",
    "seo",
)
"""At most 52, so that a set of skills is a bit mask that float64 holds exactly."""

SKILL_RARITY: Final = (
    1.2, 1.9, 1.5, 2.4, 2.4, 1.0, 0.9, 2.0, 1.7, 3.3, 3.4, 2.6, 2.7,
    1.2, 1.8, 1.7, 1.5, 2.2, 2.2, 2.1, 2.3, 2.8, 2.5, 1.3, 1.4, 2.0,
    1.0, 1.9, 2.5, 1.2, 2.2, 2.3, 1.5, 2.6, 2.9, 3.2, 2.5, 3.0, 2.9,
    2.9, 2.6, 2.5, 2.4, 2.1, 2.4, 2.7, 3.5, 2.3, 1.9, 1.8, 2.5, 3.1,
)  # fmt: skip
"""Weight of each skill, about −ln(share of profiles that name it), by skill code; dimensionless."""

ENGLISH_LEVELS: Final = ("none", "basic", "conversational", "business", "native")
JAPANESE_LEVELS: Final = ("none", "basic", "conversational", "business", "native")
SENIORITIES: Final = ("junior", "middle", "senior", "lead")
REMOTE_MODES: Final = ("office", "hybrid", "remote")
"""Of jobs (`remote`) and of people's wishes (`remote_preference`)."""
EMPLOYMENT_STATUSES: Final = ("employed", "freelance", "between_jobs", "student", "founder")
EMPLOYMENT_TYPES: Final = ("full_time", "contract", "part_time", "side_job", "internship")
"""Of a position in a work history."""
DEVICES: Final = ("desktop", "ios", "android")
APPLICATION_SOURCES: Final = ("direct", "scout")
APPLICATION_STATUSES: Final = ("rejected", "withdrawn", "hired", "pending")
SCOUT_REPLIES: Final = ("accepted", "declined")
CHECK_METHODS: Final = ("document", "video", "letter")
"""How an identity check established the place of residence."""

INDUSTRIES: Final = (
    "saas",
    "fintech",
    "ecommerce",
    "games",
    "media",
    "healthcare",
    "education",
    "human_resources",
    "logistics",
    "real_estate",
    "manufacturing",
    "consulting",
    "system_integration",
    "public_sector",
)

PREFECTURES: Final = (
    "hokkaido", "aomori", "iwate", "miyagi", "akita", "yamagata", "fukushima", "ibaraki", "tochigi", "gunma",
    "saitama", "chiba", "tokyo", "kanagawa", "niigata", "toyama", "ishikawa", "fukui", "yamanashi", "nagano",
    "gifu", "shizuoka", "aichi", "mie", "shiga", "kyoto", "osaka", "hyogo", "nara", "wakayama",
    "tottori", "shimane", "okayama", "hiroshima", "yamaguchi", "tokushima", "kagawa", "ehime", "kochi", "fukuoka",
    "saga", "nagasaki", "kumamoto", "oita", "miyazaki", "kagoshima", "okinawa", "overseas",
)  # fmt: skip
"""The 47 prefectures by JIS X 0401, then `overseas`, which few of those who live abroad choose."""

COUNTRIES: Final = (
    "JP", "US", "VN", "CN", "TW", "KR", "IN", "PH", "TH", "SG", "GB", "DE",
    "FR", "CA", "AU", "BR", "ID", "MY", "NL", "ES", "PT", "PL", "UA", "NZ",
)  # fmt: skip
"""ISO 3166-1 alpha-2 codes that phones and addresses of logins come from."""

COUNTRY_UTC_OFFSETS: Final = (
    540, -420, 420, 480, 480, 540, 330, 480, 420, 480, 0, 60,
    60, -300, 600, -180, 420, 480, 60, 60, 0, 60, 120, 720,
)  # fmt: skip
"""Standard offset from UTC in minutes, by country code; one zone a country is enough here."""

SKILL_CODES: Final[Mapping[str, int]] = {skill: code for code, skill in enumerate(SKILLS)}


def codes(words: Sequence[str]) -> dict[str, int]:
    """Map each word to its code, its position."""
    return {word: code for code, word in enumerate(words)}


def code_of(words: Sequence[str], word: str | None) -> float:
    """Return the code of `word` as a feature value; NaN for None and for words outside of the vocabulary."""
    return float(words.index(word)) if word in words else float("nan")


def skill_mask(skills: Iterable[str]) -> int:
    """Return the bit mask of a set of skills, bit i for SKILLS[i]; words outside of the vocabulary are left out."""
    mask = 0
    for skill in skills:
        code = SKILL_CODES.get(skill)
        if code is not None:
            mask |= 1 << code
    return mask


def skills_of_mask(mask: int) -> tuple[str, ...]:
    """Return the skills of a bit mask in the order of their codes. Raises ValueError outside of [0, 2**len(SKILLS))."""
    if not 0 <= mask < 1 << len(SKILLS):
        msg = f"a skill mask has bits 0 to {len(SKILLS) - 1} only"
        raise ValueError(msg)
    return tuple(skill for code, skill in enumerate(SKILLS) if mask >> code & 1)
