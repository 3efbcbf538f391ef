"""The page on which a browser logs in."""

from __future__ import annotations

from html import escape

PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Laneway: log in</title></head>
<body>
<main>
<h1>Laneway</h1>
{message}
<form method="post" action="/login">
<input type="hidden" name="next" value="{next}">
<label>Token <input type="password" name="token" autocomplete="current-password" required autofocus></label>
<button>Log in</button>
</form>
</main>
</body>
</html>
"""


def login_page(place: str, message: str = "") -> str:
    """``place``: where it goes on to. ``message``: what was wrong."""
    said = f'<p role="alert">{escape(message)}</p>' if message else ""
    return PAGE.format(message=said, next=escape(place))
