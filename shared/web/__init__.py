"""The web side that hub and nodes share: guards, errors, languages, headers, look."""

from shared.web.application import Service, new_app
from shared.web.guards import Principal, allow, current

__all__ = ["Principal", "Service", "allow", "current", "new_app"]
