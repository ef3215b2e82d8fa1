"""The glass box on a page: every token of a reply, and how it was chosen."""
