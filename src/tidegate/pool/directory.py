# cython: annotation_typing=False
"""Which pools there are, and under which limits.

Owns the making and forgetting of pools and caps. Refuses to keep one alive: whoever uses a pool does.
"""

from __future__ import annotations

from weakref import KeyedRef, WeakValueDictionary

from tidegate.pool.cap import Cap
from tidegate.pool.keeper import Keeper
from tidegate.pool.ledger import Ledger
from tidegate.pool.limits import NO_LIMIT, LimitsFor, PoolKey, PoolLimits
from tidegate.pool.pool import Pool
from tidegate.pool.sublimits import DATABASE, POOL, USER, Part, key_of


class Directory:
    """Pools by key and caps by name, held weakly.

    A pool lives while it has servers or waiting clients (the ledger holds it), or while the caller keeps it: a client
    session holds on to its pool. With the last of these it is gone, however many names were ever tried.
    """

    def __init__(self, ledger: Ledger, keeper: Keeper, limits_for: LimitsFor) -> None:
        self._ledger = ledger
        self._keeper = keeper
        self._limits_for = limits_for
        self._sharing = ledger.sharing
        # A WeakValueDictionary would take two calls in Python for what every login asks.
        self._pools: dict[PoolKey, KeyedRef[PoolKey, Pool]] = {}
        self._caps: WeakValueDictionary[tuple[int, str], Cap] = WeakValueDictionary()
        self._with_minimum: WeakValueDictionary[int, Pool] = WeakValueDictionary()
        self._made = 0

    def __len__(self) -> int:
        return len(self._pools)

    def pool(self, key: PoolKey, now: float) -> Pool:
        """The pool of this key, made on demand."""
        known = self._pools.get(key)
        pool = None if known is None else known()
        if pool is None:
            limits = self._limits_for(key)
            self._made += 1
            pool = Pool(key, limits, self._caps_of(key, limits), self._made, now)
            self._pools[key] = KeyedRef(pool, self._forget, key)
            if self._sharing is not None and limits.counted:
                pool.labels = (key_of(POOL, *key), key_of(DATABASE, key[0]), key_of(USER, key[1]))
            self._list(pool)
        return pool

    def _forget(self, gone: KeyedRef[PoolKey, Pool]) -> None:
        """A pool has ended; another may have its key by now."""
        if self._pools.get(gone.key) is gone:
            del self._pools[gone.key]

    def all(self) -> list[Pool]:
        """Every pool, oldest first."""
        pools = [known() for known in list(self._pools.values())]
        return [pool for pool in pools if pool is not None]

    def with_minimum(self) -> list[Pool]:
        """The pools that have a minimum size, oldest first."""
        return list(self._with_minimum.values())

    def relimit(self) -> None:
        """Asks again for the limits of every pool."""
        for pool in self.all():
            limits = self._limits_for(pool.key)
            pool.max_size, pool.min_size = limits.max_size, limits.min_size
            pool.allowed = limits.max_size or NO_LIMIT
            self._ledger.recap(pool, self._caps_of(pool.key, limits))
            self._list(pool)

    def _list(self, pool: Pool) -> None:
        self._keeper.watch(pool)
        if pool.labels is not None:
            self._share(pool)
        if pool.min_size > 0:
            self._with_minimum[pool.number] = pool

    def _share(self, pool: Pool) -> None:
        """Have the pool's size, and its minimum, hold over all workers."""
        assert self._sharing is not None and pool.labels is not None
        if pool.max_size == 0 and pool.min_size == 0:
            pool.part = None
            return
        pool.part = Part(POOL, pool.labels[POOL], pool.max_size or NO_LIMIT)
        self._sharing.join(pool)

    def _caps_of(self, key: PoolKey, limits: PoolLimits) -> tuple[Cap, ...]:
        caps = []
        for kind, name, size in ((DATABASE, key[0], limits.database_size), (USER, key[1], limits.user_size)):
            if size > 0:
                cap = self._caps.get((kind, name))
                if cap is None:
                    cap = self._caps[kind, name] = Cap(size)
                if cap.size != size:
                    cap.size = cap.limit = size
                    cap.part = None
                if self._sharing is not None and cap.part is None:
                    cap.part = Part(kind, key_of(kind, name), size)
                    self._sharing.join(cap)
                caps.append(cap)
        return tuple(caps)
