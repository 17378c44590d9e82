"""Many operators' nodes in one service: who they are, their server, their jobs, their commands."""
