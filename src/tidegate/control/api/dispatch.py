"""A request's way to its operation and back: one transaction, in the store's thread.

Owns the order of things (which service, who calls, what with, may they), and that nothing is answered which has
required nothing, and that no error but AWS's own leaves. Refuses each of the steps, which are modules of their own.

An error rolls the transaction back. The answer is made before the commit and sent after it: what was answered is on
disk, and what can't be answered has not happened.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from moto.core.model import OperationModel

from tidegate.control.api import answers, authentication, constraints, parsing, refusals
from tidegate.control.api.arrival import Answer, Arrival
from tidegate.control.api.authentication import FindKey
from tidegate.control.api.forms import Params, read_params
from tidegate.control.api.models import Api, load_api
from tidegate.control.api.refusals import Doubt
from tidegate.control.api.routing import Router, operation_of
from tidegate.control.api.unserved import UnservedCall, unserved_call
from tidegate.control.call import Call, Caller, Guard
from tidegate.control.errors import AwsError
from tidegate.control.services.service import Service
from tidegate.control.store.store import Transaction
from tidegate.control.store.thread import StoreAccess

MAX_WAITING = 256
"""Requests that may wait for their turn. A call takes a millisecond or two; whoever is behind these is sent away."""

READS = ("BatchGet", "Describe", "Get", "List")
"""What operations that only read begin with: all that these write are notes, of when something was last used."""
MAKES = frozenset({"GetFederationToken", "GetSessionToken"})
"""And those that don't only read, all the same."""

log = logging.getLogger(__name__)


class _Unwritten(Exception):
    """Takes an answer out of a transaction that is not to be committed."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer


@dataclass(slots=True)
class Progress:
    """What is known of a request so far: in which protocol an error is to be told."""

    api: Api | None = None
    operation: OperationModel | None = None
    unserved: UnservedCall | None = None

    @property
    def protocol(self) -> str:
        """Query where nothing says another."""
        spoken = self.unserved or self.api
        return spoken.protocol if spoken else "query"

    def __str__(self) -> str:
        service = self.api.name if self.api else "unknown service"
        return f"{service}:{self.operation.name if self.operation else 'unknown operation'}"


class Dispatcher:
    """Serves the operations of some services to the principals of one account."""

    def __init__(
        self,
        store: StoreAccess,
        services: Sequence[Service],
        guard: Guard,
        find_key: FindKey,
        *,
        account: str,
        region: str,
    ) -> None:
        self._store = store
        self._services = {service.name: service for service in services}
        self._router = Router([load_api(service.name) for service in services])
        self._guard = guard
        self._find_key = find_key
        self._account = account
        self._region = region
        self._waiting = 0

    async def serve(self, arrival: Arrival) -> Answer:
        """The answer to a request. Whatever happens, there is one."""
        progress = Progress()
        if self._waiting >= MAX_WAITING:
            return self._refuse(arrival, progress, refusals.unavailable("Too many requests are waiting already."))
        self._waiting += 1
        try:
            return await self._written_or_read(arrival, progress)
        except AwsError as error:
            return self._refuse(arrival, progress, error)
        except sqlite3.OperationalError as error:
            # The disk is full, or fails: nothing of this call is written, and the next may fare better.
            log.error("%s: the state file cannot be written: %s (request %s)", progress, error, arrival.request_id)
            return self._refuse(arrival, progress, refusals.unavailable("The state cannot be written now."))
        except Exception:
            log.exception("%s failed (request %s)", progress, arrival.request_id)
            return self._refuse(arrival, progress, refusals.internal_failure())
        finally:
            self._waiting -= 1

    async def _written_or_read(self, arrival: Arrival, progress: Progress) -> Answer:
        """The answer of a transaction that is committed; of one that is not, where a read's notes can't be written."""
        try:
            return await self._store.run(lambda transaction: self._serve(transaction, arrival, progress))
        except sqlite3.OperationalError:
            if not _only_reads(progress):
                raise

        def read(transaction: Transaction) -> Answer:
            raise _Unwritten(self._serve(transaction, arrival, progress))

        try:
            return await self._store.run(read)
        except _Unwritten as found:
            return found.answer

    def refuse(self, arrival: Arrival, error: AwsError) -> Answer:
        """The answer to a request that is not served at all."""
        progress = Progress(self._router.likely(arrival), unserved=self._router.unserved(arrival))
        return self._refuse(arrival, progress, error)

    def unserved(self, arrival: Arrival) -> AwsError | None:
        """The error that a request to a service that we don't have gets; None for other requests."""
        call = self._router.unserved(arrival)
        return None if call is None else refusals.unknown_service(call.name, call.operation)

    def _refuse(self, arrival: Arrival, progress: Progress, error: AwsError) -> Answer:
        told = refusals.in_protocol(error, progress.protocol)
        if progress.unserved is not None:
            return answers.unserved_refusal(progress.unserved, told, arrival.request_id)
        return answers.refusal(progress.api, told, arrival.request_id, in_json=arrival.wants_json)

    def _serve(self, transaction: Transaction, arrival: Arrival, progress: Progress) -> Answer:
        progress.api = self._router.likely(arrival)
        claim = authentication.claim_of(arrival, progress.protocol)
        if claim is None:
            raise refusals.doubtful(progress.protocol, Doubt.UNSIGNED)
        api = progress.api = self._router.signed_for(claim)
        if api is None:
            call = progress.unserved = unserved_call(arrival, claim.credential.service)
            raise refusals.unknown_service(call.name, call.operation)
        caller = authentication.authenticate(arrival, claim, api, self._region, self._find_key, transaction)
        # Only now: reading a megabyte of parameters takes the time of a hundred calls, which strangers don't get.
        body = b"" if api.protocol == "json" else arrival.signed.body
        params = read_params(arrival.signed.query, body, arrival.header("content-type"))
        operation = progress.operation = operation_of(api, arrival, params)
        return self._call(transaction, arrival, api, operation, params, caller)

    def _call(
        self,
        transaction: Transaction,
        arrival: Arrival,
        api: Api,
        operation: OperationModel,
        params: Params,
        caller: Caller,
    ) -> Answer:
        service = self._services[api.name]
        method = service.operation(operation.name)
        if method is None:
            raise refusals.not_implemented(api.name, operation.name)
        parameters = parsing.parse(api.name, operation, params, arrival.signed.body)
        constraints.check(api.name, operation, parameters)
        call = Call(
            service=api.name,
            operation=operation.name,
            parameters=parameters,
            caller=caller,
            account=self._account,
            region=self._region,
            request_id=arrival.request_id,
            at=arrival.at,
            source_ip=arrival.source_ip,
            secure=arrival.secure,
            user_agent=arrival.header("user-agent")[:512].encode("utf-8", "replace").decode(),
            transaction=transaction,
            guard=self._guard,
        )
        result = method(call)
        if not call.required and operation.name not in service.unguarded:
            raise RuntimeError("the operation has required nothing: it may not answer")
        return answers.answer(operation, result, arrival.request_id, in_json=arrival.wants_json)


def _only_reads(progress: Progress) -> bool:
    operation = progress.operation
    return operation is not None and operation.name.startswith(READS) and operation.name not in MAKES
