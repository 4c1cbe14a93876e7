"""Leave for an address that a caller names: where the program is to connect, or to listen.

Owns that permission, which AWS does not have, and which addresses go without it: those of registered instances, since
it was asked when they were registered. Refuses to say who names addresses (`rds`: tags; `secretsmanager`: values).

Who may use a service may not, for that alone, have the program connect to a host of their own and log in there.
"""

from __future__ import annotations

from tidegate.control.call import Call
from tidegate.control.services.rds.records import Instance
from tidegate.control.store.store import Transaction

ACTION = "tidegate:UseAddress"

Address = tuple[str, int]


def text_of(address: Address) -> str:
    """HOST:PORT, as the resource of the action has it."""
    return f"{address[0]}:{address[1]}"


def require_address(call: Call, address: Address) -> None:
    """Go on only if the caller may name that address."""
    call.require(ACTION, call.arn("tidegate", f"address/{text_of(address)}"))


def is_registered(transaction: Transaction, address: Address) -> bool:
    """Whether an instance of the account is there."""
    wanted = (address[0].lower(), address[1])
    instances = transaction.table(Instance).all()
    return any((one.host.lower(), one.port) == wanted for one in instances if one.status != "deleting")
