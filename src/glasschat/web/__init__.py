"""The chat in a browser: Streamlit pages, and the ASGI middleware before them."""
