"""The page on which a browser logs in."""

from __future__ import annotations

from laneway.server.dashboard.rendering import render


def login_page(place: str, message: str = "") -> str:
    """``place``: where it goes on to. ``message``: what was wrong."""
    return render("login.html", {"title": "Log in", "theme": "auto", "place": place, "message": message})
