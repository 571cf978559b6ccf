"""Tell which intent an entry of the FAQ answers.

Revision: 0003, after 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# The entries that came along so far, by their slugs: a shop that has kept them need not say it again. What
# would stand before the most general entry of its intent is left out, for order counts.
_KNOWN = {
    "greeting": "greet",
    "thanks": "thanks",
    "goodbye": "goodbye",
    "bot-identity": "bot_identity",
    "capabilities": "bot_identity",
    "business-hours": "business_hours",
    "phone": "business_hours",
    "unsubscribe": "unsubscribe",
    "complaint": "complaint",
    "praise": "praise",
    "suggestion": "suggestion",
    "product-info": "product_info",
    "product-difference": "product_info",
    "size-guide": "size_advice",
    "authenticity": "product_authenticity",
    "stock": "product_stock",
    "restock": "product_stock",
    "usage": "product_usage",
    "care": "product_usage",
    "shelf-life": "product_info",
    "color-difference": "product_info",
    "package-list": "product_info",
    "safety": "product_info",
    "price-now": "product_info",
    "bargain": "bargain",
    "promotion": "promotion",
    "coupon-get": "promotion",
    "coupon-unusable": "promotion",
    "price-protection": "price_protection",
    "gift": "gift",
    "gift-missing": "gift",
    "how-to-order": "how_to_order",
    "payment-methods": "payment_method",
    "cash-on-delivery": "payment_method",
    "installment": "payment_method",
    "payment-failed": "payment_issue",
    "paid-unpaid": "payment_issue",
    "change-address": "change_address",
    "change-order": "change_order",
    "merge-order": "change_order",
    "cancel-order": "cancel_order",
    "order-status": "order_status",
    "invoice": "invoice",
    "invoice-change": "invoice",
    "ship-time": "shipping_time",
    "urge-shipping": "shipping_time",
    "shipping-fee": "shipping_fee",
    "courier": "courier",
    "choose-courier": "courier",
    "self-pickup": "courier",
    "tracking": "tracking",
    "tracking-stuck": "tracking",
    "delivery-time": "tracking",
    "delivery-delay": "delivery_delay",
    "delivery-schedule": "delivery_schedule",
    "signed-not-received": "not_received",
    "return-policy": "return_policy",
    "exchange": "exchange_request",
    "refund-request": "refund_request",
    "refund-progress": "refund_status",
    "aftersales-wait": "refund_status",
    "return-freight": "return_shipping_fee",
    "missing-item": "missing_item",
    "wrong-item": "wrong_item",
    "damaged-item": "damaged_item",
    "quality-problem": "quality_problem",
    "warranty": "warranty_repair",
    "repair": "warranty_repair",
    "installation": "installation",
    "login": "account_issue",
    "account-phone": "account_issue",
    "membership": "membership",
    "points": "membership",
    "gift-card": "membership",
    "birthday": "membership",
}


def upgrade() -> None:
    """Adds the column, and fills it for the entries that came along."""
    with op.batch_alter_table("faq_entries") as batch:
        batch.add_column(sa.Column("intent", sa.String(), nullable=False, server_default=""))
    with op.batch_alter_table("faq_entries") as batch:
        batch.alter_column("intent", server_default=None)
    entries = sa.table("faq_entries", sa.column("slug", sa.String()), sa.column("intent", sa.String()))
    for slug, intent in _KNOWN.items():
        op.execute(sa.update(entries).where(entries.c.slug == slug).values(intent=intent))


def downgrade() -> None:
    """Takes the column away; the entries stay."""
    with op.batch_alter_table("faq_entries") as batch:
        batch.drop_column("intent")
