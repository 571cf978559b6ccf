"""The seed FAQ, as the application reads it at every start."""

from bot.faq_entries import default_faq, from_entries, to_entries
from bot.faq_file import DEFAULT_FAQ, read_faq


def test_the_fast_reading_of_the_seed_says_what_the_strict_one_says() -> None:
    assert default_faq() == read_faq(DEFAULT_FAQ.read_text(encoding="utf-8"))


def test_entries_survive_the_way_into_the_desk_and_back() -> None:
    file = default_faq()
    assert from_entries(to_entries(file), dict(file.variables)) == file
