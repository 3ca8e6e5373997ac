"""The reference of the contracts is made from their docstrings."""

from tests.docs.contracts import PAGE, render


def test_the_reference_of_the_contracts_is_up_to_date() -> None:
    """The page is what `python -m tests.docs.contracts` writes."""
    assert PAGE.read_text() == render()
