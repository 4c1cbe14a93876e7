"""SQLAlchemy as published, over psycopg, psycopg2 and asyncpg: an ORM's mapped classes, sessions and its pool."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal

import pytest
from sqlalchemy import ForeignKey, Numeric, String, create_engine, event, func, insert, inspect, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship, selectinload

from tests.support.sides import Side

Work = Callable[[Side, int], object]


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "conf_orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    side: Mapped[str] = mapped_column(String(10))
    owner: Mapped[int]
    lines: Mapped[list[Line]] = relationship(back_populates="order", cascade="all, delete-orphan")


class Line(Base):
    __tablename__ = "conf_lines"
    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("conf_orders.id"))
    price: Mapped[Decimal] = mapped_column(Numeric(10, 2))
    order: Mapped[Order] = relationship(back_populates="lines")


@pytest.fixture(scope="module", autouse=True)
def tables(proxied: Side) -> None:
    """Made through the proxy, by the ORM's own inspection and DDL."""
    engine = create_engine(proxied.url("postgresql+psycopg"))
    Base.metadata.drop_all(engine)
    Base.metadata.create_all(engine)
    engine.dispose()


def fill(session: Session, side: Side, number: int) -> object:
    """What a request handler does: add a graph, read it back by joins, change and delete parts of it."""
    for i in range(3):
        session.add(
            Order(side=side.name, owner=number, lines=[Line(price=Decimal(i) + Decimal("0.25") * n) for n in range(4)])
        )
    session.commit()
    mine = (Order.side == side.name, Order.owner == number)
    orders = session.scalars(select(Order).where(*mine).options(selectinload(Order.lines)).order_by(Order.id)).all()
    totals = [sum(line.price for line in order.lines) for order in orders]
    session.delete(orders[0])
    orders[1].lines[0].price = Decimal("99.00")
    session.commit()
    with pytest.raises(IntegrityError):
        session.execute(insert(Line).values(order_id=-1, price=1))
    session.rollback()
    query = select(func.count(Line.id), func.sum(Line.price)).join(Order).where(*mine)
    return totals, tuple(session.execute(query).one())


def orm(scheme: str) -> Work:
    def work(side: Side, number: int) -> object:
        engine = create_engine(side.url(scheme), pool_size=2, max_overflow=0, pool_pre_ping=True)
        try:
            with Session(engine) as session:
                return fill(session, side, number)
        finally:
            engine.dispose()

    return work


def isolation_levels(side: Side, number: int) -> object:
    engine = create_engine(side.url("postgresql+psycopg"))
    seen = []
    try:
        for level in ("SERIALIZABLE", "READ COMMITTED", "AUTOCOMMIT", "REPEATABLE READ"):
            with engine.connect().execution_options(isolation_level=level) as connection:
                seen.append(connection.execute(text("SHOW transaction_isolation")).scalar_one())
        with engine.connect() as connection:
            seen.append(connection.execute(text("SHOW transaction_isolation")).scalar_one())
    finally:
        engine.dispose()
    return seen


def tenants_by_search_path(side: Side, number: int) -> object:
    """The recipe of its documentation: SET search_path at connect, one schema for each tenant."""
    engine = create_engine(side.url("postgresql+psycopg2"), pool_size=1)
    schema = ("public", "conf_other")[number % 2]

    @event.listens_for(engine, "connect")
    def choose(connection: object, _record: object) -> None:
        autocommit, connection.autocommit = connection.autocommit, True  # type: ignore[attr-defined]
        connection.cursor().execute(f"SET SESSION search_path = {schema}")  # type: ignore[attr-defined]
        connection.autocommit = autocommit  # type: ignore[attr-defined]

    try:
        seen = []
        for _ in range(5):
            with engine.connect() as connection:
                seen.append(connection.execute(text("SELECT tenant FROM who")).scalar_one())
        return seen
    finally:
        engine.dispose()


def inspection(side: Side, number: int) -> object:
    engine = create_engine(side.url("postgresql+psycopg"))
    try:
        look = inspect(engine)
        names = sorted(name for name in look.get_table_names() if name in ("conf_items", "conf_orders", "conf_lines"))
        columns = [(column["name"], str(column["type"])) for column in look.get_columns("conf_items")]
        return names, columns, look.get_pk_constraint("conf_lines"), look.get_foreign_keys("conf_lines")
    finally:
        engine.dispose()


def server_side_results(side: Side, number: int) -> object:
    engine = create_engine(side.url("postgresql+psycopg"))
    try:
        with engine.connect().execution_options(yield_per=8) as connection:
            return [row.id for row in connection.execute(text("SELECT id FROM conf_items ORDER BY id"))]
    finally:
        engine.dispose()


def over_asyncpg(side: Side, number: int) -> object:
    async def work() -> object:
        engine = create_async_engine(side.url("postgresql+asyncpg"), pool_size=2, max_overflow=0)
        try:
            async with AsyncSession(engine) as session:
                return await session.run_sync(fill, side, number)
        finally:
            await engine.dispose()

    return asyncio.run(work())


WORKS: dict[str, Work] = {
    "orm over psycopg": orm("postgresql+psycopg"),
    "orm over psycopg2": orm("postgresql+psycopg2"),
    "orm over asyncpg": over_asyncpg,
    "isolation levels": isolation_levels,
    "tenants by search_path": tenants_by_search_path,
    "inspection": inspection,
    "server-side results": server_side_results,
}


@pytest.mark.parametrize("work", WORKS.values(), ids=WORKS.keys())
def test_same_work(same_work: Callable[[Work], None], work: Work) -> None:
    same_work(work)
