"""The dashboard: pages for people, rendered here. ``page.py``: what a page is; ``menu.py``: all of them."""
