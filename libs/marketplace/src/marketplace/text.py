"""Japanese and English phrases, put together by code and not by row."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from marketplace.columns import Bools, Floats, Ints, words
from marketplace.vocabulary import SKILLS

__all__ = [
    "bios",
    "comments",
    "company_names",
    "headlines",
    "job_descriptions",
    "job_titles",
    "position_texts",
    "titles",
]

_ROLES_JA: Final = (
    "バックエンドエンジニア", "フロントエンドエンジニア", "フルスタックエンジニア", "モバイルエンジニア",
    "インフラエンジニア", "データエンジニア", "機械学習エンジニア", "QAエンジニア", "セキュリティエンジニア",
    "エンジニアリングマネージャー", "UIデザイナー", "UXデザイナー", "プロダクトマネージャー",
    "プロジェクトマネージャー",
)  # fmt: skip
_ROLES_EN: Final = (
    "Backend Engineer", "Frontend Engineer", "Full-stack Engineer", "Mobile Engineer",
    "Infrastructure Engineer", "Data Engineer", "Machine Learning Engineer", "QA Engineer", "Security Engineer",
    "Engineering Manager", "UI Designer", "UX Designer", "Product Manager", "Project Manager",
)  # fmt: skip
_HEADLINE_ENDS: Final = (
    "副業で週10時間ほど稼働できます", "新規事業の立ち上げが得意です", "リモート希望", "設計から運用まで",
    "open to side projects", "available for part-time work", "10+ years in startups", "remote first",
)  # fmt: skip
_BIO_JA: Final = (
    "大規模サービスの設計と運用を担当してきました。",
    "チームの立ち上げと採用に携わりました。",
    "顧客と直接話しながら要件をまとめるのが得意です。",
    "パフォーマンス改善とコスト削減の実績があります。",
    "技術ブログと勉強会での発信を続けています。",
    "スタートアップでゼロからプロダクトを作りました。",
)
_BIO_EN: Final = (
    "I design and run large services. ",
    "I have built teams and hired for them. ",
    "I like to work out requirements with customers. ",
    "I have made slow systems fast and dear ones cheap. ",
    "I write and speak about what I learn. ",
    "I built a product from nothing at a start-up. ",
)
_NAMES_A: Final = (
    "青葉", "みどり", "Northern", "蒼天", "Bright", "さくら", "Harbor", "若竹", "Stone", "日向", "Clear",
    "琥珀",
)  # fmt: skip
_NAMES_B: Final = ("テック", "システムズ", "ラボ", "Works", "Data", "デザイン", "Systems", "ソフト", "Labs", "Cloud")
_NAMES_C: Final = ("株式会社", " Inc.", " K.K.", "合同会社")
_WORK: Final = (
    "新機能の設計・開発をリードしました。",
    "運用と障害対応を担当しました。",
    "Led design and delivery of new features.",
    "Ran services in production.",
    "要件定義から受け入れまで担当しました。",
    "Worked closely with product and design.",
)
_COMMENTS: Final = (
    ("期待した水準に届きませんでした。", "Missed several agreed dates."),
    ("もう少し主体性がほしいところです。", "Needed more guidance than we had hoped."),
    ("予定どおり進めていただきました。", "Solid work, as agreed."),
    ("コミュニケーションも丁寧で助かりました。", "Very good work and clear communication."),
    ("素晴らしい成果でした。ぜひまたお願いしたいです。", "Outstanding. We would hire again at once."),
)


def headlines(role: Ints, main_skill: Ints, end: Ints, english: Bools) -> pa.Array:
    """Return one line a person."""
    start = _either(english, words(_ROLES_EN, role), words(_ROLES_JA, role))
    return _join(start, "｜", words(SKILLS, main_skill), " / ", words(_HEADLINE_ENDS, end % len(_HEADLINE_ENDS)))


def bios(role: Ints, sentences: Ints, seed: Ints, english: Bools) -> pa.Array:
    """Return a bio of 1 to 5 sentences a person; `seed` chooses which."""
    text = _either(english, words(_ROLES_EN, role), words(_ROLES_JA, role))
    text = _join(text, _either(english, _constant(". ", len(role)), _constant("です。", len(role))))
    for position in range(5):
        code = (seed + position) % len(_BIO_JA)
        sentence = _either(english, words(_BIO_EN, code), words(_BIO_JA, code))
        text = _join(text, pc.if_else(pa.array(sentences > position), sentence, ""))
    return text


def company_names(seed: Ints) -> pa.Array:
    """Return names such as 青葉テック株式会社 and Harbor Labs Inc.; the same seed gives the same name."""
    first, second = seed % len(_NAMES_A), seed // 12 % len(_NAMES_B)
    return _join(words(_NAMES_A, first), words(_NAMES_B, second), words(_NAMES_C, seed // 120 % len(_NAMES_C)))


def titles(role: Ints, leads: Bools, english: Bools) -> pa.Array:
    """Return the title of a position."""
    rank = pc.if_else(pa.array(leads), pc.if_else(pa.array(english), "Lead ", "リード"), "")
    return _join(rank, _either(english, words(_ROLES_EN, role), words(_ROLES_JA, role)))


def position_texts(seed: Ints) -> pa.Array:
    """Return what was done in a position."""
    return _join(words(_WORK, seed % 6), " ", words(_WORK, seed // 6 % 6))


def job_titles(role: Ints, seniority: Ints, english: Bools) -> pa.Array:
    """Return the title of a job."""
    rank_en = words(("Junior ", "", "Senior ", "Lead "), seniority)
    rank_ja = words(("【若手歓迎】", "", "シニア", "リード"), seniority)
    return _join(_either(english, rank_en, rank_ja), _either(english, words(_ROLES_EN, role), words(_ROLES_JA, role)))


def job_descriptions(skill: Ints, seed: Ints, english: Bools) -> pa.Array:
    """Return what a job is about."""
    n = len(skill)
    start = _either(english, _constant("We are looking for someone strong in ", n), _constant("歓迎するスキル: ", n))
    end = _either(english, words(_BIO_EN, seed % 6), words(_BIO_JA, seed % 6))
    return _join(start, words(SKILLS, skill), _either(english, _constant(". ", n), _constant("。", n)), end)


def comments(rating: Floats, english: Bools) -> pa.Array:
    """Return what a company writes beside a rating of 1 to 5."""
    code = np.clip(np.rint(rating), 1, 5).astype(np.int64) - 1
    japanese = words([pair[0] for pair in _COMMENTS], code)
    return _either(english, words([pair[1] for pair in _COMMENTS], code), japanese)


def _constant(text: str, n: int) -> pa.Array:
    return pa.repeat(pa.scalar(text), n)


def _either(english: Bools, yes: pa.Array, no: pa.Array) -> pa.Array:
    return pc.if_else(pa.array(english), yes, no)


def _join(*pieces: pa.Array | str) -> pa.Array:
    texts: Sequence[pa.Array | pa.Scalar] = [pa.scalar(p) if isinstance(p, str) else p for p in pieces]
    return pc.binary_join_element_wise(*texts, "")
