"""The version of this distribution. It is written here and nowhere else."""

VERSION = "0.2.0"
