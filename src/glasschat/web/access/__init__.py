"""Authentication: who may use the chat, and which user a page is drawn for.

    LocalAccess             on loopback: one local user, no authentication
    OpenAccess              `--open`: everybody, each browser with conversations of its own
    SharedPasswordAccess    `--password`: one password, one set of conversations
    LoginAccess             `--login`: OpenID Connect, each user with conversations of their own

The server takes one of these policies. Its middleware (`protect`) runs before Streamlit, and the
check of the Host header (`api/hosts.py`) runs before that middleware. Pages call `current_user()`
first, and use nothing else of this package but `sign_out`.
"""

from glasschat.web.access.base import AccessPolicy, LocalAccess, User
from glasschat.web.access.current import current_user, set_access_policy, sign_out

__all__ = ["AccessPolicy", "LocalAccess", "User", "current_user", "set_access_policy", "sign_out"]
