"""Amounts as staff read them."""

from __future__ import annotations

# ISO 4217: currencies whose minor unit is not a hundredth
# (https://www.six-group.com/en/products-services/financial-information/data-standards.html, list one).
_WHOLE = frozenset(
    [
        "BIF",
        "CLP",
        "DJF",
        "GNF",
        "ISK",
        "JPY",
        "KMF",
        "KRW",
        "PYG",
        "RWF",
        "UGX",
        "VND",
        "VUV",
        "XAF",
        "XOF",
        "XPF",
    ]
)
_THOUSANDTHS = frozenset(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"])


def money(amount_minor: int, currency: str) -> str:
    """``¥128.00``; other currencies keep their code: ``USD 3.50``."""
    exponent = 0 if currency in _WHOLE else 3 if currency in _THOUSANDTHS else 2
    sign = "-" if amount_minor < 0 else ""
    whole, rest = divmod(abs(amount_minor), 10**exponent)
    figure = f"{whole:,}" + (f".{rest:0{exponent}d}" if exponent else "")
    return f"{sign}¥{figure}" if currency == "CNY" else f"{currency} {sign}{figure}"
