"""Answers that come while they are written: followed event by event, and put together to the answer that they make."""
