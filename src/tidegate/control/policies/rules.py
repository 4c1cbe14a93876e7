"""The rules that a document must keep before IAM accepts it, and its words for each that is broken.

Owns what differs between identity policies, trust policies and those that hang on resources. Refuses sizes, and whether
a principal exists (`services/iam`, which knows both).

Messages and their order are those that moto's maintainers have found by asking AWS (`moto/iam/policy_validation.py`),
and that users' reports of MalformedPolicyDocument quote.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from enum import Enum

from tidegate.control.policies.conditions import OperatorName
from tidegate.control.policies.syntax import (
    EFFECTS,
    VERSIONS,
    PolicyProblem,
    Raw,
    as_list,
    condition_entries,
    read,
)
from tidegate.control.policies.values import moment
from tidegate.control.policies.wildcards import Glob, tokens

MAX_TEXT = 131_072
"""Characters of any policy that comes in (the iam model's policyDocumentType). Some of AWS's own are longer."""

PARTITIONS = {"aws", "aws-cn", "aws-us-gov", "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f", "aws-eusc"}
SID = re.compile(r"[0-9A-Za-z]*")
VENDOR = re.compile(r"[a-zA-Z0-9.-]+")
TRUST_ACTIONS = (
    "assumerole",
    "assumerolewithsaml",
    "assumerolewithwebidentity",
    "tagsession",
    "setsourceidentity",
    "setcontext",
)
IAM_RESOURCES = (
    "user/",
    "federated-user/",
    "role/",
    "group/",
    "instance-profile/",
    "mfa/",
    "server-certificate/",
    "policy/",
    "sms-mfa/",
    "saml-provider/",
    "oidc-provider/",
    "report/",
    "access-report/",
)


class PolicyKind(Enum):
    """Where a policy hangs."""

    IDENTITY = "identity"
    """Managed and inline policies, permissions boundaries, session policies."""
    TRUST = "trust"
    RESOURCE = "resource"


def check(text: str, kind: PolicyKind) -> Raw:
    """Return the document as JSON. Raises PolicyProblem with IAM's words for the first rule that it breaks."""
    if len(text) > MAX_TEXT:
        raise PolicyProblem(f"Policy document is longer than {MAX_TEXT} characters.")
    try:
        document = read(text)
    except PolicyProblem as problem:
        if problem.json and kind is not PolicyKind.IDENTITY:
            raise PolicyProblem("This policy contains invalid Json") from None
        raise
    for rule in RULES[kind]:
        rule(document)
    return document


def _version(document: Raw) -> None:
    if document.get("Version") != VERSIONS[1]:
        raise PolicyProblem("Policy document must be version 2012-10-17 or greater.")


def _legacy(document: Raw) -> None:
    for statement in document["Statement"]:
        dates = (
            value
            for name, _, texts in condition_entries(statement)
            if (operator := OperatorName.parse(name)) and operator.base.startswith("date")
            for value in texts
        )
        if statement["Effect"] not in EFFECTS or any(moment(value) is None for value in dates):
            raise PolicyProblem("The policy failed legacy parsing")


def _sids(document: Raw) -> None:
    sids = [statement["Sid"] for statement in document["Statement"] if statement.get("Sid")]
    if any(count > 1 for count in Counter(sids).values()):
        raise PolicyProblem("Statement IDs (SID) in a single policy must be unique.")


def _sid_letters(document: Raw) -> None:
    if not all(SID.fullmatch(statement.get("Sid", "")) for statement in document["Statement"]):
        raise PolicyProblem(
            "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression "
            "[0-9A-Za-z]*"
        )


def _actions(document: Raw) -> None:
    if not all(_texts(statement, "Action") for statement in document["Statement"]):
        raise PolicyProblem("Policy statement must contain actions.")


def _action_names(document: Raw) -> None:
    for statement in document["Statement"]:
        for action in _texts(statement, "Action"):
            vendor, colon, name = action.partition(":")
            if not colon and vendor != "*":
                raise PolicyProblem("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
            if ":" in name:
                raise PolicyProblem("Actions/Condition can contain only one colon.")
            if vendor != "*" and not VENDOR.fullmatch(vendor):
                raise PolicyProblem(f"Vendor {vendor} is not valid")


def _resources(document: Raw) -> None:
    for statement in document["Statement"]:
        # Of several that are wrong, IAM names the last in the alphabet.
        for resource in sorted(_texts(statement, "Resource"), reverse=True):
            problem = _resource_problem(resource)
            if problem:
                raise PolicyProblem(problem)


def _resource_problem(resource: str) -> str | None:
    if resource and not resource.strip("*"):
        return None
    prefix, *rest = resource.split(":", 5)
    if not rest or prefix != "arn":
        return f'Resource {resource} must be in ARN format or "*".'
    partition, *others = rest
    if partition not in PARTITIONS and "*" not in partition and "${" not in partition:
        filled = ":".join((*others, *["*"] * (4 - len(others))))
        return f'Partition "{partition}" is not valid for resource "arn:{partition}:{filled}".'
    if not others or not others[0]:
        return "Resource vendor must be fully qualified and cannot contain regexes."
    if others[0] == "iam" and len(others) == 4:
        _, region, _, path = others
        if region:
            return f"IAM resource {resource} cannot contain region information."
        if not path.startswith(("*", "role-template/", *IAM_RESOURCES)) and "${" not in path and path != "root":
            return f'IAM resource path must either be "*" or start with {", ".join(IAM_RESOURCES)}.'
    return None


def _has_resources(document: Raw) -> None:
    if not all(_texts(statement, "Resource") for statement in document["Statement"]):
        raise PolicyProblem("Policy statement must contain resources.")


def _no_principal(document: Raw) -> None:
    if any("Principal" in statement or "NotPrincipal" in statement for statement in document["Statement"]):
        raise PolicyProblem("Policy document should not specify a principal.")


def _has_principal(document: Raw) -> None:
    if not all("Principal" in statement or "NotPrincipal" in statement for statement in document["Statement"]):
        raise PolicyProblem("Missing required field Principal")


def _no_resources(document: Raw) -> None:
    for name in ("Resource", "NotResource"):
        if any(name in statement for statement in document["Statement"]):
            raise PolicyProblem("Has prohibited field Resource")


def _trust_actions(document: Raw) -> None:
    for statement in document["Statement"]:
        for action in _texts(statement, "Action"):
            vendor, _, name = action.lower().partition(":")
            pattern = Glob(tokens(name))
            if vendor != "sts" or not any(pattern.matches(allowed) for allowed in TRUST_ACTIONS):
                raise PolicyProblem("AssumeRole policy may only specify STS AssumeRole actions.")


def _texts(statement: Raw, name: str) -> list[str]:
    found: list[str] = as_list(statement.get(name, statement.get(f"Not{name}", [])))
    return found


Rule = Callable[[Raw], None]
RULES: dict[PolicyKind, tuple[Rule, ...]] = {
    PolicyKind.IDENTITY: (
        _version,
        _legacy,
        _sids,
        _sid_letters,
        _actions,
        _resources,
        _action_names,
        _has_resources,
        _no_principal,
    ),
    PolicyKind.TRUST: (_legacy, _sids, _actions, _action_names, _no_resources, _has_principal, _trust_actions),
    PolicyKind.RESOURCE: (_legacy, _sids, _actions, _resources, _action_names, _has_principal, _has_resources),
}
"""In the order in which IAM finds them."""


def principals_of(document: Raw) -> Iterator[tuple[str, str]]:
    """Form and name of all principals: ("AWS", "arn:..."), ("Service", "rds.amazonaws.com")."""
    for statement in document["Statement"]:
        value = statement.get("Principal", statement.get("NotPrincipal", {}))
        if isinstance(value, dict):
            yield from ((form, name) for form, names in value.items() for name in as_list(names))


def with_principals(text: str, names: Mapping[str, str]) -> str:
    """The text of an accepted document with other names for some AWS principals; the same text if there are none."""
    if not names:
        return text
    document = json.loads(text)
    for statement in as_list(document["Statement"]):
        for element in ("Principal", "NotPrincipal"):
            value = statement.get(element)
            if isinstance(value, dict) and "AWS" in value:
                renamed = [names.get(name, name) for name in as_list(value["AWS"])]
                value["AWS"] = renamed if isinstance(value["AWS"], list) else renamed[0]
    return json.dumps(document)


def size(text: str) -> int:
    """What IAM counts against a quota: characters that are not white space."""
    return sum(not letter.isspace() for letter in text)
