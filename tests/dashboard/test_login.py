"""Coming in with a token, in a browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.dashboard.browsing import PHONE, Look, check


@pytest.fixture(scope="module")
def token() -> str:
    return "t-one-that-nobody-guesses"


def test_one_logs_in_sees_the_page_one_wanted_and_leaves(look: Look, token: str) -> None:
    with look.page("/lanes?x=1") as page:
        expect(page.get_by_role("heading", name="Log in")).to_be_visible()
        expect(page.get_by_label("Token")).to_be_focused()
        check(page, "login-wide-light")
        page.keyboard.type("wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_be_visible()
        page.get_by_label("Token").fill(token)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Lanes")).to_be_visible()
        assert page.url.endswith("/lanes?x=1")
        page.get_by_role("button", name="Pause lane general").click()
        expect(page.get_by_role("status")).to_contain_text("Lane general is paused")
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_role("heading", name="Log in")).to_be_visible()
        page.go_back()
        page.reload()
        expect(page.get_by_role("heading", name="Log in")).to_be_visible()


def test_the_way_in_on_a_dark_phone(look: Look) -> None:
    with look.page("/", size=PHONE, dark=True) as page:
        check(page, "login-phone-dark")


def test_a_page_that_is_not_there_is_told_to_people_as_a_page(look: Look, token: str) -> None:
    with look.page("/login") as page:
        page.get_by_label("Token").fill(token)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Overview")).to_be_visible()
        page.goto(look.url + "/nothing/here")
        expect(page.get_by_role("heading", name="Not found")).to_be_visible()
        page.get_by_role("link", name="Back to the overview").click()
        expect(page.get_by_role("heading", name="Overview")).to_be_visible()
