"""Optimisations stepped by hand, and taken up from a stored state."""

import pickle

import jax
import numpy as np


def stepped(optimisation, state=None, batches=np.inf):
    """The state and the records after all steps from `state`, the initial one by default, or after those that averaged so many
    batches together."""
    state, records = state or optimisation.initial(), []
    while not optimisation.done(state) and sum(record.batches for record in records) < batches:
        state, made = optimisation.step(state)
        records += made
    return state, records


def assert_resumed_alike(new, stops):
    """What `new()` makes in one go is made bit by bit where another one goes on from the state stored at a step."""
    final, history = stepped(new())
    for stop in stops(history):
        first, early = new(), []
        state = first.initial()
        while int(state.step) < stop:
            state, made = first.step(state)
            early += made
        resumed, late = stepped(new(), pickle.loads(pickle.dumps(state)))
        assert early + late == history
        assert jax.tree.all(jax.tree.map(np.array_equal, resumed, final))
    return history
