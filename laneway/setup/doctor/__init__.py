"""``laneway doctor``: what works, what does not, and the next step."""
