"""From the store's records to what the data plane is to run, and back: what it has done settles the records' states.

Owns the way between the services and a data plane: `plan` makes the desired state, `credentials` says which secrets a
proxy's role may read, `settling` writes what has come true, `reconciler` does all of it whenever something has changed.
Refuses to serve calls, and to know any data plane but by `ports.DataPlane`.
"""

from __future__ import annotations

from tidegate.control.desired.board import HealthBoard
from tidegate.control.desired.credentials import RoleCredentials
from tidegate.control.desired.plan import Place, Plan, make_desired, make_plan
from tidegate.control.desired.reconciler import Reconciler
from tidegate.control.desired.settling import settle

__all__ = ["HealthBoard", "Place", "Plan", "Reconciler", "RoleCredentials", "make_desired", "make_plan", "settle"]
