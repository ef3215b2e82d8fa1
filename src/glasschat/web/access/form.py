"""The page that asks for the password: plain HTML, as Streamlit serves only who is signed in."""

import base64
from html import escape
from pathlib import Path

from glasschat.web.language import Translator

FIELD = "password"

_ICON = Path(__file__).parents[1] / "static" / "icon.svg"

# The referrer policy lets the browser say in `Origin` where the form came from.
_PAGE_HTML = """<!doctype html>
<html lang="{lang}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="same-origin">
<meta name="robots" content="noindex">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; \
img-src data:; form-action 'self'; base-uri 'none'">
<title>{heading} · {name}</title>
<link rel="icon" href="{icon}">
<style>{style}</style>
</head>
<body>
<main>
<img src="{icon}" alt="" width="40" height="40">
<h1>{name}</h1>
<form method="post">
<input type="text" name="username" value="{name}" autocomplete="username" hidden>
<label for="{field}">{label}</label>
<input id="{field}" name="{field}" type="password" autocomplete="current-password" required
 autofocus{described}>
{notice}
<button type="submit">{button}</button>
</form>
</main>
</body>
</html>
"""

_STYLE = """
:root {
  color-scheme: light dark;
  --text: #31333f; --soft: #5f6270; --line: #d3d5dc; --ground: #ffffff;
  --accent: #2f6f8f; --on-accent: #ffffff; --wrong: #a8261b;
}
@media (prefers-color-scheme: dark) {
  :root {
    --text: #fafafa; --soft: #b3b6c2; --line: #4a4d58; --ground: #0e1117;
    --accent: #5aa9cc; --on-accent: #0e1117; --wrong: #ff9a8f;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1.5rem;
  background: var(--ground); color: var(--text);
  font: 1rem/1.5 "Source Sans", system-ui, -apple-system, "Segoe UI", "Noto Sans CJK SC",
    "PingFang SC", "Microsoft YaHei", sans-serif;
}
main { width: 100%; max-width: 20rem; }
img { display: block; }
h1 { font-size: 1.4rem; font-weight: 600; margin: 0.5rem 0 1.5rem; }
label { display: block; color: var(--soft); font-size: 0.875rem; margin-bottom: 0.25rem; }
input, button {
  width: 100%; min-height: 2.75rem; padding: 0 0.75rem; font: inherit; border-radius: 0.6rem;
}
input { color: inherit; background: transparent; border: 1px solid var(--line); }
button {
  margin-top: 1rem; border: 0; cursor: pointer; font-weight: 600;
  background: var(--accent); color: var(--on-accent);
}
input:focus-visible, button:focus-visible {
  outline: 2px solid var(--accent); outline-offset: 2px;
}
p { margin: 0.5rem 0 0; color: var(--wrong); }
"""


def sign_in_page(_: Translator, notice: str = "") -> str:
    """Return the HTML in the translator's language; `notice` is what was wrong with the last guess.

    The form is sent to the address that the page is at, so that the address is kept.
    """
    return _PAGE_HTML.format(
        lang=_.language.tag,
        name="glasschat",
        heading=escape(_("Sign in")),
        icon="data:image/svg+xml;base64," + base64.b64encode(_ICON.read_bytes()).decode(),
        style=_STYLE,
        field=FIELD,
        label=escape(_("Password")),
        button=escape(_("Sign in")),
        described=' aria-describedby="notice" aria-invalid="true"' if notice else "",
        notice=f'<p id="notice" role="alert">{escape(notice)}</p>' if notice else "",
    )
