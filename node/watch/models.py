"""What the jobs process wrote down of itself, and what it last saw."""

from node.db import Model
from shared.ops.watch import JobRecordColumns, ObservationColumns


class JobRecord(JobRecordColumns, Model):
    pass


class Observation(ObservationColumns, Model):
    pass
