"""States of a server connection."""

import itertools

import pytest

from tests.unit.pool.desk import APP
from tidegate.pool.limits import PoolLimits
from tidegate.pool.pool import Pool
from tidegate.pool.slot import MOVES, Slot, SlotState

WAY = {  # a way from OPENING to each state
    SlotState.OPENING: [],
    SlotState.IDLE: [SlotState.IDLE],
    SlotState.LENT: [SlotState.IDLE, SlotState.LENT],
    SlotState.CLOSING: [SlotState.CLOSING],
    SlotState.GONE: [SlotState.GONE],
}


@pytest.mark.parametrize(("source", "target"), list(itertools.product(SlotState, SlotState)))
def test_only_moves_of_the_table_are_made(source: SlotState, target: SlotState) -> None:
    slot = Slot(Pool(APP, PoolLimits(), (), 1, 0.0), 0, 0.0)
    for step in WAY[source]:
        slot.move(step)
    if target in MOVES[source]:
        slot.move(target)
        assert slot.state == target
    else:
        with pytest.raises(ValueError, match=f"from {source.name} to {target.name}"):
            slot.move(target)
        assert slot.state == source
