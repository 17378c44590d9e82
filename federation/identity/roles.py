"""The roles of the coordination's accounts."""

# Whoever may look at the desk.
STAFF = ("coordinator", "moderator", "reader")
