"""The role cache: freshness, coalescing, failures and bounds, on times that the tests make up."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tidegate.auth.cache import Answer, Resumed, RoleCache
from tidegate.auth.roles import RoleRecord
from tidegate.errors import PgError

ANN = RoleRecord("ann", None)
NEWER = RoleRecord("ann", None, can_login=False)
DOWN = PgError("the database is down", "08006")


def cache_with(record: RoleRecord, read_at: float, *, ttl: float = 5.0, **options: float) -> RoleCache[str, str]:
    cache: RoleCache[str, str] = RoleCache(ttl, **options)  # type: ignore[arg-type]
    cache.need("ann", read_at, "first")
    assert cache.next_batch(read_at) == ["ann"]
    cache.loaded("ann", record)
    return cache


# Freshness


def test_an_answer_serves_until_ttl_has_passed_since_its_read_began() -> None:
    cache = cache_with(ANN, read_at=10.0)
    assert cache.need("ann", 15.0, "late") == Answer(ANN, 10.0)
    assert cache.need("ann", 15.1, "later") is None
    assert cache.next_batch(15.1) == ["ann"]


def test_without_ttl_each_login_needs_a_read_that_began_after_it_arrived() -> None:
    cache = cache_with(ANN, read_at=10.0, ttl=0.0)
    assert cache.need("ann", 10.0, "at once") == Answer(ANN, 10.0)
    assert cache.need("ann", 10.001, "after") is None


def test_not_before_asks_for_a_newer_read_than_ttl_would() -> None:
    cache = cache_with(ANN, read_at=10.0)
    assert cache.need("ann", 11.0, "refused", not_before=10.0) == Answer(ANN, 10.0)
    assert cache.need("ann", 11.0, "refused", not_before=10.5) is None
    cache.next_batch(11.0)
    assert cache.loaded("ann", NEWER) == [Resumed("refused", Answer(NEWER, 11.0))]
    assert cache.need("ann", 12.0, "next") == Answer(NEWER, 11.0)


def test_a_missing_role_is_not_remembered() -> None:
    cache = cache_with(ANN, read_at=10.0)
    cache.need("ann", 20.0, "late")
    cache.next_batch(20.0)
    assert cache.loaded("ann", None) == [Resumed("late", Answer(None, 20.0))]
    assert len(cache) == 0
    assert cache.need("ann", 20.0, "again") is None


# Coalescing


def test_a_storm_costs_two_reads() -> None:
    cache: RoleCache[str, int] = RoleCache(0.0)
    assert cache.need("ann", 1.0, 0) is None
    assert cache.next_batch(1.0) == ["ann"]
    for login in range(1, 300):
        assert cache.need("ann", 1.5, login) is None
    assert cache.next_batch(1.6) == [], "one read of a key at a time"
    assert [resumed.waiter for resumed in cache.loaded("ann", ANN)] == [0]
    assert cache.next_batch(2.0) == ["ann"]
    assert [resumed.waiter for resumed in cache.loaded("ann", ANN)] == list(range(1, 300))
    assert cache.next_batch(2.0) == []
    assert cache.waiting == 0


def test_within_ttl_a_login_boards_the_read_under_way() -> None:
    cache: RoleCache[str, str] = RoleCache(5.0)
    cache.need("ann", 1.0, "first")
    cache.next_batch(1.0)
    cache.need("ann", 6.0, "aboard")
    cache.need("ann", 6.1, "too late")
    cache.need("ann", 2.0, "wants newer", not_before=1.5)
    assert [resumed.waiter for resumed in cache.loaded("ann", ANN)] == ["first", "aboard"]
    assert cache.next_batch(6.2) == ["ann"]
    assert [resumed.waiter for resumed in cache.loaded("ann", ANN)] == ["too late", "wants newer"]


def test_batches_are_first_come_first_served_and_bounded() -> None:
    cache: RoleCache[str, str] = RoleCache(0.0)
    for name in ("ann", "bob", "ann", "eve"):
        cache.need(name, 1.0, f"{name}'s client")
    assert cache.next_batch(1.0, limit=2) == ["ann", "bob"]
    assert cache.next_batch(1.0) == ["eve"]
    assert cache.next_batch(1.0) == []


def test_a_result_nobody_asked_for_is_an_error() -> None:
    cache: RoleCache[str, str] = RoleCache(0.0)
    with pytest.raises(KeyError):
        cache.loaded("ann", ANN)
    cache.need("ann", 1.0, "login")
    with pytest.raises(KeyError):
        cache.loaded("ann", ANN)
    with pytest.raises(KeyError):
        cache.failed(["ann"], DOWN, 1.0)


# Reads that come to nothing


def asked(*names: str, at: float = 1.0) -> RoleCache[str, str]:
    """A cache with a read of each of these under way."""
    cache: RoleCache[str, str] = RoleCache(0.0)
    for name in names:
        cache.need(name, at, f"{name}'s client")
    assert cache.next_batch(at) == list(names)
    return cache


def test_a_postponed_read_is_due_again_with_all_who_waited() -> None:
    cache = asked("ann", "bob")
    cache.need("ann", 2.0, "later")
    assert cache.postponed(["ann", "bob"], 3.0) == []
    assert sorted(cache.waiters()) == ["ann's client", "bob's client", "later"] and cache.waiting == 3
    assert cache.next_batch(3.0) == ["ann", "bob"]
    assert [resumed.waiter for resumed in cache.loaded("ann", ANN)] == ["ann's client", "later"]


def test_a_postponed_read_hands_out_the_last_known_answer() -> None:
    cache = cache_with(ANN, read_at=10.0, ttl=0.0)
    cache.need("ann", 20.0, "again")
    cache.next_batch(20.0)
    assert cache.postponed(["ann"], 21.0) == [Resumed("again", Answer(ANN, 10.0, stale=True))]
    assert cache.waiting == 0 and cache.next_batch(22.0) == []


def test_a_stalled_read_waits_and_is_read_alone() -> None:
    cache = asked("ann", "bob")
    assert cache.stalled("ann", 10.0) == cache.postponed(["bob"], 10.0) == []
    assert cache.next_batch(10.0) == ["bob"], "the others at once"
    assert cache.held_for(10.0) is None, "not beside them"
    cache.loaded("bob", ANN)
    assert cache.held_for(10.5) == 0.5
    assert cache.next_batch(10.9) == []
    cache.need("eve", 11.0, "eve's client")
    assert cache.next_batch(11.0) == ["eve"], "others go first"
    cache.loaded("eve", ANN)
    assert cache.next_batch(11.0) == ["ann"]
    assert not cache.kept_waiting
    cache.need("bob", 11.1, "bob's next")
    assert cache.kept_waiting and cache.next_batch(11.1) == [], "nobody's read is behind it"
    assert [resumed.waiter for resumed in cache.loaded("ann", ANN)] == ["ann's client"]
    assert cache.next_batch(11.2) == ["bob"]


def test_pauses_of_a_stalled_read_grow_and_end_with_an_answer() -> None:
    cache = asked("ann")
    pauses = []
    now = 10.0
    for _ in range(6):
        cache.stalled("ann", now)
        pauses.append(cache.held_for(now))
        now += pauses[-1] or 0.0
        assert cache.next_batch(now) == ["ann"]
    assert pauses == [1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
    cache.loaded("ann", ANN)
    cache.need("ann", now + 1, "next")
    assert cache.next_batch(now + 1) == ["ann"]


def test_a_suspect_stays_one_when_its_client_leaves() -> None:
    cache = asked("ann")
    cache.forget("ann", "ann's client")
    cache.stalled("ann", 10.0)
    assert cache.waiting == 0
    cache.need("ann", 10.1, "again")
    assert cache.next_batch(10.1) == [] and cache.held_for(10.1) == pytest.approx(0.9)
    cache.forget("ann", "again")
    assert cache.held_for(10.2) is None


def test_suspects_are_forgotten_in_time() -> None:
    cache = asked("ann")
    cache.forget("ann", "ann's client")
    cache.stalled("ann", 10.0)
    cache.need("bob", 1000.0, "bob's client")
    cache.next_batch(1000.0)
    cache.stalled("bob", 1000.0)
    cache.need("ann", 1000.1, "again")
    assert cache.next_batch(1000.1) == ["ann"]


# Before a refusal


def test_a_recheck_wants_a_read_that_begins_after_it() -> None:
    cache = cache_with(ANN, read_at=10.0)
    cache.recheck("ann", 11.0, "refused")
    assert cache.next_batch(11.0) == ["ann"]
    cache.recheck("ann", 11.1, "too late for this read")
    assert cache.loaded("ann", NEWER) == [Resumed("refused", Answer(NEWER, 11.0))]
    assert cache.need("ann", 12.0, "next") == Answer(NEWER, 11.0), "memory has what was read"


def test_rechecks_of_one_role_begin_at_most_once_a_period() -> None:
    cache: RoleCache[str, str] = RoleCache(60.0, recheck_period=0.5)
    began = []
    now = 10.0
    while now < 15.0:
        cache.recheck("ann", now, f"login at {now}")
        cache.recheck("bob", now, f"bob's login at {now}")
        if "ann" in (batch := cache.next_batch(now)):
            began.append(now)
        for key in batch:
            assert cache.loaded(key, ANN)[-1].waiter.endswith(f"login at {now}"), "all that waited share one read"
        now += 0.125
    assert began == [10.0 + 0.5 * times for times in range(10)]


def test_a_held_recheck_says_when_to_come_back() -> None:
    cache: RoleCache[str, str] = RoleCache(60.0, recheck_period=0.5)
    assert cache.held_for(10.0) is None
    cache.recheck("ann", 10.0, "first")
    assert cache.held_for(10.0) == 0.0
    cache.next_batch(10.0)
    cache.recheck("ann", 10.125, "second")
    assert cache.held_for(10.125) is None, "the read under way comes first"
    cache.loaded("ann", ANN)
    assert cache.next_batch(10.25) == []
    assert cache.held_for(10.25) == 0.25
    assert cache.next_batch(10.5) == ["ann"]
    assert [resumed.waiter for resumed in cache.loaded("ann", ANN)] == ["second"]


def test_a_login_that_is_not_refused_is_not_held_back() -> None:
    cache: RoleCache[str, str] = RoleCache(0.0, recheck_period=0.5)
    cache.recheck("ann", 10.0, "refused")
    cache.next_batch(10.0)
    cache.loaded("ann", ANN)
    cache.recheck("ann", 10.125, "refused again")
    assert cache.next_batch(10.125) == []
    assert cache.need("ann", 10.25, "newcomer") is None
    assert cache.next_batch(10.25) == ["ann"]
    assert [resumed.waiter for resumed in cache.loaded("ann", ANN)] == ["refused again", "newcomer"]


def test_whoever_leaves_is_not_rechecked() -> None:
    cache: RoleCache[str, str] = RoleCache(60.0, recheck_period=0.5)
    for login in ("first", "second"):
        cache.recheck("ann", 10.0, login)
        cache.next_batch(10.0)
        cache.forget("ann", login)
    assert cache.held_for(10.0) is None
    assert cache.loaded("ann", ANN) == []
    assert cache.next_batch(20.0) == []


# Failures


def test_a_failed_read_hands_out_the_stale_record() -> None:
    cache = cache_with(ANN, read_at=10.0)
    cache.need("ann", 20.0, "login")
    cache.need("bob", 20.0, "stranger")
    batch = cache.next_batch(20.0)
    assert cache.failed(batch, DOWN, 21.0) == [
        Resumed("login", Answer(ANN, 10.0, stale=True), DOWN),
        Resumed("stranger", None, DOWN),
    ]
    assert cache.need("ann", 21.0, "next") is None, "a stale record is not fresh because it was handed out"


def test_a_record_can_be_too_old_to_be_handed_out() -> None:
    cache = cache_with(ANN, read_at=10.0, stale_limit=60.0)
    for now, answer in ((70.0, Answer(ANN, 10.0, stale=True)), (70.1, None)):
        cache.need("ann", now, "login")
        assert cache.failed(cache.next_batch(now), DOWN, now) == [Resumed("login", answer, DOWN)]
    assert len(cache) == 0


def test_those_queued_behind_a_failure_get_their_own_read() -> None:
    cache: RoleCache[str, str] = RoleCache(0.0)
    cache.need("ann", 1.0, "first")
    cache.next_batch(1.0)
    cache.need("ann", 2.0, "second")
    assert [resumed.waiter for resumed in cache.failed(["ann"], DOWN, 3.0)] == ["first"]
    assert cache.next_batch(3.0) == ["ann"]
    assert cache.loaded("ann", ANN) == [Resumed("second", Answer(ANN, 3.0))]


# Leaving, invalidation, bounds


def test_a_login_that_leaves_waits_no_longer() -> None:
    cache: RoleCache[str, str] = RoleCache(0.0)
    cache.forget("ann", "never came")
    cache.need("ann", 1.0, "queued")
    cache.forget("ann", "queued")
    assert cache.next_batch(1.0) == []
    cache.need("ann", 2.0, "aboard")
    cache.need("ann", 2.0, "stays")
    cache.next_batch(2.0)
    cache.need("ann", 3.0, "behind")
    cache.forget("ann", "aboard")
    cache.forget("ann", "behind")
    assert [resumed.waiter for resumed in cache.loaded("ann", ANN)] == ["stays"]
    assert cache.next_batch(3.0) == []


def test_those_who_are_released_wait_elsewhere() -> None:
    cache: RoleCache[str, str] = RoleCache(10.0)
    cache.need("ann", 0.0, "boards")
    cache.next_batch(0.0)
    cache.recheck("ann", 1.0, "queues")
    cache.need("other", 1.0, "is due")
    assert sorted(cache.release()) == ["boards", "is due", "queues"]
    assert cache.waiting == 0
    assert cache.next_batch(5.0) == []
    assert cache.held_for(5.0) is None
    assert cache.loaded("ann", ANN) == []  # the read under way still lands


def test_an_invalidated_record_serves_nobody() -> None:
    cache = cache_with(ANN, read_at=10.0)
    cache.invalidate("ann")
    assert cache.need("ann", 10.0, "login") is None


def test_a_read_that_was_under_way_at_an_invalidation_serves_nobody() -> None:
    cache: RoleCache[str, str] = RoleCache(5.0)
    cache.need("ann", 1.0, "before")
    cache.next_batch(1.0)
    cache.invalidate("ann")
    cache.need("ann", 1.1, "after")
    assert cache.loaded("ann", ANN) == []
    assert len(cache) == 0
    assert cache.next_batch(1.2) == ["ann"]
    assert [resumed.waiter for resumed in cache.loaded("ann", NEWER)] == ["before", "after"]
    assert cache.need("ann", 1.3, "next") == Answer(NEWER, 1.2)


def test_the_least_recently_used_record_goes() -> None:
    cache: RoleCache[str, str] = RoleCache(5.0, capacity=2)
    for name in ("ann", "bob", "eve"):
        if name == "eve":
            assert cache.need("ann", 1.0, "again") is not None
        cache.need(name, 1.0, "login")
        cache.next_batch(1.0)
        cache.loaded(name, RoleRecord(name, None))
    assert len(cache) == 2
    assert cache.need("ann", 1.0, "x") is not None
    assert cache.need("bob", 1.0, "x") is None


class RoleCacheMachine(RuleBasedStateMachine):
    """Any order of events: every login is resumed once, by a read that began late enough, with what that read saw."""

    TTL = 3.0
    keys = st.sampled_from(["ann", "bob"])

    def __init__(self) -> None:
        super().__init__()
        self.cache: RoleCache[str, int] = RoleCache(self.TTL)
        self.now = 0.0
        self.logins = 0
        self.waiting: dict[int, tuple[str, float]] = {}
        self.reads: dict[str, float] = {}

    def served(self, login: int, key: str, earliest: float, answer: Answer | None) -> None:
        assert answer is not None
        assert answer.read_at >= earliest, f"login {login} got a read of {key} that began too early"
        assert answer.record is not None
        assert answer.record.valid_until == answer.read_at

    @rule(seconds=st.sampled_from([0.5, 2.0, 4.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(key=keys, strict=st.booleans())
    def login(self, key: str, strict: bool) -> None:
        self.logins += 1
        earliest = self.now if strict else self.now - self.TTL
        answer = self.cache.need(key, self.now, self.logins, self.now if strict else None)
        if answer is None:
            self.waiting[self.logins] = (key, earliest)
        else:
            self.served(self.logins, key, earliest, answer)

    @rule(key=keys)
    def login_is_about_to_be_refused(self, key: str) -> None:
        self.logins += 1
        self.cache.recheck(key, self.now, self.logins)
        self.waiting[self.logins] = (key, self.now)

    @rule()
    def begin_reads(self) -> None:
        for key in self.cache.next_batch(self.now):
            assert key not in self.reads
            self.reads[key] = self.now

    @rule(key=keys, how=st.sampled_from(["loaded", "failed", "postponed", "stalled"]))
    def end_read(self, key: str, how: str) -> None:
        began = self.reads.pop(key, None)
        if began is None:
            return
        if how == "failed":
            resumed = self.cache.failed([key], DOWN, self.now)
        elif how == "postponed":
            resumed = self.cache.postponed([key], self.now)
        elif how == "stalled":
            resumed = self.cache.stalled(key, self.now)
        else:
            resumed = self.cache.loaded(key, RoleRecord(key, None, valid_until=began))
        for one in resumed:
            waited_for, earliest = self.waiting.pop(one.waiter)
            assert waited_for == key
            if how in ("postponed", "stalled"):
                assert one.answer is not None and one.answer.stale
            if how == "loaded":
                self.served(one.waiter, key, earliest, one.answer)

    @rule(key=keys)
    def invalidate(self, key: str) -> None:
        self.cache.invalidate(key)

    @rule()
    def client_leaves(self) -> None:
        if self.waiting:
            login, (key, _) = self.waiting.popitem()
            self.cache.forget(key, login)

    @rule()
    def all_wait_elsewhere(self) -> None:
        assert sorted(self.cache.release()) == sorted(self.waiting)
        self.waiting.clear()

    @invariant()
    def nobody_is_lost(self) -> None:
        assert self.cache.waiting == len(self.waiting)

    def teardown(self) -> None:
        """Whatever happened before, whoever waits is served in the end."""
        for _ in range(6):
            self.now += 10.0
            self.begin_reads()
            for key in list(self.reads):
                self.end_read(key, "loaded")
        assert not self.waiting


TestRoleCacheMachine = RoleCacheMachine.TestCase
TestRoleCacheMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
