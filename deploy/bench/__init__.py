"""Benchmarks: each module is one command, and prints its figures beside what is aimed at."""
