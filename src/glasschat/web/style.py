"""The few rules of style that Streamlit's theme cannot say."""

STYLE = """
[data-testid="stMainBlockContainer"] { max-width: 48rem; padding-top: 3.5rem; }
[data-testid="stBottomBlockContainer"] { max-width: 48rem; padding-bottom: 1.5rem; }
/* Streamlit's own Stop would end the drawing of the page, not the reply. */
[data-testid="stStatusWidget"] { display: none; }
h1 { font-size: 1.4rem !important; padding: 0 !important; }
[data-testid="stChatMessage"] { padding: 0.75rem 1rem; }
/* The gap between finished blocks of a reply is that between paragraphs, so nothing jumps. */
.st-key-reply { gap: 1rem; }
[class*="st-key-tools_"] { gap: 0.5rem; margin-top: -0.5rem; }
[class*="st-key-tools_"] p { font-variant-numeric: tabular-nums; }
"""
