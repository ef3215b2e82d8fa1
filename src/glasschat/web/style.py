"""The few rules of style that Streamlit's theme cannot say."""

STYLE = """
[data-testid="stMainBlockContainer"] { max-width: 48rem; padding-top: 3.5rem; }
[data-testid="stBottomBlockContainer"] { max-width: 48rem; padding-bottom: 0.5rem; }
/* Streamlit's own Stop would end the drawing of the page, not the reply. */
[data-testid="stStatusWidget"] { display: none; }
h1 { font-size: 1.4rem !important; padding: 0 !important; }
[data-testid="stChatMessage"] { padding: 0.75rem 1rem; }
[data-testid^="stChatMessageAvatar"] {
  background: none; border: none; opacity: 0.65;
}
/* The gap between finished blocks of a reply is that between paragraphs, so nothing jumps. */
[class*="st-key-reply_"] { gap: 1rem; }
/* One height for the status of a reply on its way and the tools of a finished one. */
[class*="st-key-tools_"] { gap: 0 0.75rem; min-height: 2.5rem; margin-top: -0.5rem; }
.st-key-foot { min-height: 2.5rem; margin-top: -0.75rem; }
[class*="st-key-tools_"] p, .st-key-foot p { font-variant-numeric: tabular-nums; }
/* Streamlit keeps a button that is gone until the run has ended, which is when the reply has. */
[class*="st-key-tools_"] [data-retained="true"] { display: none; }
/* A phone's width goes to the text. */
@media (max-width: 640px) {
  [data-testid="stChatMessage"] { padding: 0.5rem; gap: 0.25rem; }
  [data-testid="stMainBlockContainer"] { padding-left: 0.75rem; padding-right: 0.75rem; }
}
"""
