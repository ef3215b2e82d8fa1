"""CSS rules of the page that Streamlit's theme cannot express."""

STYLE = """
[data-testid="stMainBlockContainer"] { max-width: 48rem; padding-top: 3.5rem; }
[data-testid="stBottomBlockContainer"] { max-width: 48rem; padding-bottom: 0.5rem; }
/* Streamlit's own Stop would end the drawing of the page, not the reply. */
[data-testid="stStatusWidget"] { display: none; }
h1 { font-size: 1.4rem !important; padding: 0 !important; }
/* Headings of a reply are within a message, not of the page. */
[data-testid="stChatMessage"] :is(h1, h2, h3, h4, h5, h6) {
  padding: 0.25rem 0 0.5rem !important; margin: 0; line-height: 1.3;
}
[data-testid="stChatMessage"] h1 { font-size: 1.35rem !important; }
[data-testid="stChatMessage"] h2 { font-size: 1.2rem !important; }
[data-testid="stChatMessage"] :is(h3, h4, h5, h6) { font-size: 1.05rem !important; }
[data-testid="stChatMessage"] { padding: 0.75rem 1rem; }
[data-testid^="stChatMessageAvatar"] {
  background: none; border: none; opacity: 0.65;
}
/* The gap between finished blocks of a reply is that between paragraphs, so nothing jumps. */
[class*="st-key-reply_"], [class*="st-key-said_"] { gap: 1rem; }
[class*="st-key-reply_"]:not(:has(> *)) { display: none; }
/* One height for the status of a reply on its way and the tools of a finished one. */
[class*="st-key-tools_"] { min-height: 4rem; margin-top: -0.5rem; }
[data-testid="stChatMessage"]:has([class*="st-key-asked_"]) [class*="st-key-tools_"] {
  min-height: 2rem; margin: -0.75rem 0 -0.5rem;
}
[class*="st-key-tools_"] p { font-variant-numeric: tabular-nums; }
/* Streamlit keeps what is gone until the run has ended, which is when the reply has. These have
   one thing in them; what comes behind it was there before. */
:is([class*="st-key-tools_"], [class*="st-key-read_"]) > :nth-child(n + 2) { display: none; }
/* The tools of a question come when one goes there. */
@media (hover: hover) {
  [data-testid="stChatMessage"]:has([class*="st-key-asked_"]) [class*="st-key-tools_"] {
    opacity: 0; transition: opacity 0.15s;
  }
  [data-testid="stChatMessage"]:is(:hover, :focus-within) [class*="st-key-tools_"] {
    opacity: 1 !important;
  }
}
/* What the model does not read any more. */
[class*="st-key-unread_"] { opacity: 0.45; }
.st-key-left_out_line p { text-align: center; }
/* What has no look of its own takes no room. */
[data-testid="stLayoutWrapper"]:has(> :is(.st-key-keyboard_place, .st-key-end_place)) {
  position: absolute; width: 0; height: 0; overflow: hidden;
}
.st-key-foot { min-height: 2.5rem; margin-top: -0.75rem; }
.meter {
  display: flex; align-items: center; gap: 0.75rem; font-size: 0.8rem; opacity: 0.75;
  font-variant-numeric: tabular-nums; white-space: nowrap;
}
.meter .gauge {
  flex: 0 1 8rem; height: 0.3rem; border-radius: 0.2rem; overflow: hidden;
  background: color-mix(in srgb, currentColor 18%, transparent);
}
.meter .level { display: block; height: 100%; background: #2f6f8f; }
.meter .level.high { background: #b7791f; }
.meter .level.full { background: #c0392b; }
.st-key-undo_line { min-height: 0; }
/* The list of chats: one line each, the menu when one goes there. */
.st-key-chats { max-height: 38vh; overflow-y: auto; overflow-x: hidden; gap: 0; }
.st-key-chats [data-testid="stCaptionContainer"] { padding: 0.5rem 0 0.1rem; }
[class*="chat_row_"] { flex-wrap: nowrap !important; border-radius: 0.4rem; gap: 0; }
[class*="chat_row_"] button { min-height: 2rem; padding: 0.1rem 0.4rem; }
[class*="chat_row_"] [data-testid="stElementContainer"]:first-child { min-width: 0; }
[class*="chat_row_"] [class*="st-key-open_"] button {
  justify-content: flex-start; width: 100%; overflow: hidden;
}
[class*="chat_row_"] [class*="st-key-open_"] button p {
  white-space: nowrap; overflow: hidden; text-overflow: ellipsis; text-align: left;
}
[class*="chat_row_"] [class*="st-key-open_"] button > * {
  min-width: 0; overflow: hidden; flex: 1; justify-content: flex-start; text-align: left;
}
[class*="st-key-here_chat_row_"], [class*="chat_row_"]:hover {
  background: color-mix(in srgb, currentColor 8%, transparent);
}
@media (hover: hover) {
  [class*="chat_row_"] [class*="st-key-menu_"] { opacity: 0; }
  [class*="chat_row_"]:is(:hover, :focus-within) [class*="st-key-menu_"] { opacity: 1; }
}
/* A phone's width goes to the text. */
@media (max-width: 640px) {
  [data-testid="stChatMessage"] { padding: 0.5rem; gap: 0.25rem; }
  [data-testid="stMainBlockContainer"] { padding-left: 0.75rem; padding-right: 0.75rem; }
  .meter .free { display: none; }
  [class*="chat_row_"] button { min-height: 2.6rem; }
}
"""
