"""Messages to ids. Knows no model and no backend."""
