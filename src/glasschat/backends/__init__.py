"""What pages and the API talk to."""
