"""The few rules of style that Streamlit's theme cannot say."""

STYLE = """
[data-testid="stMainBlockContainer"] { max-width: 48rem; padding-top: 3rem; }
h1 { font-size: 1.5rem !important; padding-bottom: 0 !important; }
.st-key-reply { gap: 1rem; }
"""
