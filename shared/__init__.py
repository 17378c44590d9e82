"""What the hub and every node speak: keys, passes, lists, messages, and the common look."""
