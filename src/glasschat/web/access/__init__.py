"""Who may come in, and who they are.

    LocalAccess     on loopback: one local user, no door
    GuestAccess     `--open`: everybody, each browser with conversations of its own
    SharedAccess    `--password`: one password, one set of conversations
    LoginAccess     `--login`: OpenID Connect, each person with conversations of their own

The server takes one of them: its gate stands before Streamlit, and `hosts.py` before the gate.
Pages call `current_person()` first, and nothing else of this room but `sign_out`.
"""

from glasschat.web.access.base import Access, LocalAccess, Person
from glasschat.web.access.current import current_person, open_access, sign_out

__all__ = ["Access", "LocalAccess", "Person", "current_person", "open_access", "sign_out"]
