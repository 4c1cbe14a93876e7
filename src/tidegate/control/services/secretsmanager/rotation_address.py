"""Where a secret's rotation may connect: to registered instances, and where somebody with leave has let it.

Owns the leave for the address in a secret's value (`services.use_address`). Asked are who turns rotation on, and who
gives the secret another value while it is on: the address that they were allowed is kept with the rotation, and
whatever begins a rotation later, a schedule too, goes nowhere else. Refuses to connect (`tidegate.control.rotation`).
"""

from __future__ import annotations

from tidegate.control.call import Call
from tidegate.control.services.secretsmanager.credentials import CredentialsError, fields_of, place_in
from tidegate.control.services.secretsmanager.records import CURRENT, Rotation, Secret
from tidegate.control.services.secretsmanager.vault import Vault
from tidegate.control.services.use_address import Address, is_registered, require_address, text_of
from tidegate.control.store.store import Transaction


def may_go(transaction: Transaction, rotation: Rotation, address: Address) -> bool:
    """Whether that rotation may connect to an address."""
    return rotation.address == text_of(address) or is_registered(transaction, address)


def permitted_rotation(call: Call, vault: Vault, secret: Secret, rotation: Rotation) -> Rotation:
    """The rotation, with leave for the address in AWSCURRENT. AwsError (AccessDenied) if the caller has none.

    A value that names no address is let pass: it can't be rotated as it is.
    """
    try:
        address = place_in(fields_of(vault, secret, CURRENT))
    except CredentialsError:
        return rotation
    if rotation.address == text_of(address):
        return rotation
    if is_registered(call.transaction, address):
        return rotation.model_copy(update={"address": ""})
    require_address(call, address)
    return rotation.model_copy(update={"address": text_of(address)})


def follow_value(call: Call, vault: Vault, before: Secret, secret: Secret) -> Secret:
    """The secret, after a call that may have given it another AWSCURRENT, as `permitted_rotation`. Saved."""
    rotation = secret.rotation
    if rotation is None or not rotation.enabled or secret.labelled(CURRENT) == before.labelled(CURRENT):
        return secret
    return vault.save(secret.model_copy(update={"rotation": permitted_rotation(call, vault, secret, rotation)}))
