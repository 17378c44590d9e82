"""Running Passerelle: the command, the demonstration, settings, benchmarks."""
