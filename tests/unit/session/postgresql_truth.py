"""What PostgreSQL's own parser says of session state in a SQL text.

Owns the reading of parse trees. pglast wraps libpg_query, the parser cut out of PostgreSQL.
"""

from collections.abc import Iterator

import pglast
from pglast import ast, enums

from tidegate.session.facts import PlaceKind, ScanFlag
from tidegate.session.pins import PinReason

ADVISORY_LOCKS = {"pg_advisory_lock", "pg_advisory_lock_shared", "pg_try_advisory_lock", "pg_try_advisory_lock_shared"}
OLD_NAMES = {"sort_mem": "work_mem", "vacuum_mem": "maintenance_work_mem"}
TRANSACTION_ONLY = {"transaction_isolation", "transaction_read_only", "transaction_deferrable"}
CHARACTERISTICS = {f"default_{name}" for name in TRANSACTION_ONLY}
OPENS = {enums.TransactionStmtKind.TRANS_STMT_BEGIN, enums.TransactionStmtKind.TRANS_STMT_START}
CLOSES = {
    enums.TransactionStmtKind.TRANS_STMT_COMMIT,
    enums.TransactionStmtKind.TRANS_STMT_ROLLBACK,
    enums.TransactionStmtKind.TRANS_STMT_PREPARE,
}
PINNING_STATEMENTS = {
    ast.DoStmt: PinReason.DO_BLOCK,
    ast.CallStmt: PinReason.CALL,
    ast.LoadStmt: PinReason.LOAD,
}

CHANNEL_STATEMENTS = {
    ast.ListenStmt: ScanFlag.LISTENS,
    ast.UnlistenStmt: ScanFlag.UNLISTENS,
    ast.NotifyStmt: ScanFlag.NOTIFIES,
}


class Truth:
    """What the parse tree of a text says about session state."""

    def __init__(self, text: str) -> None:
        statements = pglast.parse_sql(text)
        self.statements = len(statements)
        self.touched: set[str] = set()
        self.pins: set[PinReason] = set()
        self.bound: set[int] = set()
        self.flags = 0
        self.unlistened: list[bytes | None] = []
        self.set_default: str | None = None
        self.constant = False
        self.named: list[tuple[PlaceKind, str | None]] = []
        for statement in statements:
            assert statement.stmt is not None
            self._statement(statement.stmt)
            for node in walk(statement.stmt):
                self._node(node)

    def _statement(self, node: ast.Node) -> None:
        self._names(node)
        if type(node) in PINNING_STATEMENTS:
            self.pins.add(PINNING_STATEMENTS[type(node)])
        elif isinstance(node, ast.VariableSetStmt):
            self._variable(node)
        elif isinstance(node, ast.DeclareCursorStmt) and (node.options or 0) & 0x0020:  # CURSOR_OPT_HOLD
            self.pins.add(PinReason.HOLD_CURSOR)
        elif isinstance(node, ast.DeallocateStmt):
            self.flags |= ScanFlag.DEALLOCATE_ALL if node.isall else ScanFlag.DEALLOCATE_ONE
        elif type(node) in CHANNEL_STATEMENTS:
            self.flags |= CHANNEL_STATEMENTS[type(node)]
            if isinstance(node, ast.UnlistenStmt):
                self.unlistened.append(node.conditionname.encode() if node.conditionname is not None else None)
        elif isinstance(node, ast.DiscardStmt):
            everything = node.target == enums.DiscardMode.DISCARD_ALL
            self.flags |= ScanFlag.DISCARD_ALL if everything else ScanFlag.DISCARD_OTHER
        elif isinstance(node, ast.TransactionStmt):
            self.flags |= ScanFlag.BEGINS if node.kind in OPENS else ScanFlag.ENDS if node.kind in CLOSES else 0
        elif isinstance(node, ast.CopyStmt):
            self.flags |= ScanFlag.COPIES

    def _names(self, node: ast.Node) -> None:
        """The prepared statements that a statement names, in `named`."""
        if isinstance(node, ast.PrepareStmt):
            self.named.append((PlaceKind.PREPARES, node.name))
        elif isinstance(node, ast.ExecuteStmt):
            self.named.append((PlaceKind.EXECUTES, node.name))
        elif isinstance(node, ast.ExplainStmt | ast.CreateTableAsStmt) and node.query is not None:
            self._names(node.query)
        elif isinstance(node, ast.DeallocateStmt) and not node.isall:
            self.named.append((PlaceKind.DROPS, node.name))
        elif isinstance(node, ast.DeallocateStmt) or (
            isinstance(node, ast.DiscardStmt) and node.target == enums.DiscardMode.DISCARD_ALL
        ):
            self.named.append((PlaceKind.DROPS_ALL, None))

    def _variable(self, node: ast.VariableSetStmt) -> None:
        kinds = enums.VariableSetKind
        name = (node.name or "").lower()
        name = OLD_NAMES.get(name, name)
        if node.kind == kinds.VAR_RESET_ALL:
            self.flags |= ScanFlag.RESET_ALL
        elif name == "seed":
            self._touch(name)
        elif name == "session characteristics" and not node.is_local:
            self.touched |= CHARACTERISTICS
        elif node.kind != kinds.VAR_SET_MULTI and not node.is_local and name not in TRANSACTION_ONLY:
            self.touched.add(name)
            self.constant = node.kind == kinds.VAR_SET_VALUE and all(
                isinstance(value, ast.A_Const) for value in node.args or ()
            )
            if node.kind in (kinds.VAR_SET_DEFAULT, kinds.VAR_RESET):
                self.set_default = name

    def _touch(self, name: str) -> None:
        if name == "seed":
            self.pins.add(PinReason.SETSEED)
        elif name not in TRANSACTION_ONLY:
            self.touched.add(OLD_NAMES.get(name, name))

    def _node(self, node: ast.Node) -> None:
        if isinstance(node, ast.FuncCall):
            self._call(node)
        elif isinstance(node, ast.RangeVar) and node.relpersistence == "t":
            self.pins.add(PinReason.TEMP_OBJECT)
        elif isinstance(node, ast.CreateStmt | ast.CreateSeqStmt | ast.IntoClause | ast.ViewStmt):
            target = getattr(
                node,
                {"CreateSeqStmt": "sequence", "IntoClause": "rel", "ViewStmt": "view"}.get(
                    type(node).__name__, "relation"
                ),
            )
            if (target.schemaname or "").startswith("pg_temp"):
                self.pins.add(PinReason.TEMP_OBJECT)

    def _call(self, node: ast.FuncCall) -> None:
        name = (node.funcname or ())[-1].sval
        if name == "pg_notify":
            self.flags |= ScanFlag.NOTIFIES
        if name in ADVISORY_LOCKS:
            self.pins.add(PinReason.ADVISORY_LOCK)
        elif name == "setseed":
            self.pins.add(PinReason.SETSEED)
        elif name == "set_config":
            first = node.args[0] if node.args else None
            while isinstance(first, ast.TypeCast):
                first = first.arg
            if isinstance(first, ast.A_Const) and isinstance(first.val, ast.String):
                self._touch((first.val.sval or "").lower())
            elif isinstance(first, ast.ParamRef):
                self.bound.add(first.number or 0)
            else:
                self.pins.add(PinReason.DYNAMIC_SET)


def walk(node: object) -> Iterator[ast.Node]:
    if isinstance(node, ast.Node):
        yield node
        for attribute in node:
            yield from walk(getattr(node, attribute))
    elif isinstance(node, tuple):
        for item in node:
            yield from walk(item)
