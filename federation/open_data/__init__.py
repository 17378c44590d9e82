"""The page that tells programmers what the hub gives to everybody."""
