"""All tables. Importing this package makes ``SQLModel.metadata`` whole."""

from storage.tables import care, orders, people, rooms, staff, work

__all__ = ["care", "orders", "people", "rooms", "staff", "work"]
