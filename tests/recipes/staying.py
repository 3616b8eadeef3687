"""What every recipe is tried for: sessions stay at their servers, over connections, workers and reloads."""
import random


def in_any_order(visitors):
    """Another one each time: round robin must not look like stickiness."""
    return random.sample(range(len(visitors)), len(visitors))


def check_that_sessions_stay(limpet, visitors, visit, rounds=4):
    """`visit(visitor)` gives the server's name and how many visits its session has seen, this one counted.

    Each visitor's session begins here; both servers must get some. Returns their servers.
    """
    homes = []
    for visitor in visitors:
        home, visits = visit(visitor)
        assert visits == 1, f"a session that has just begun had {visits} visits"
        homes.append(home)
    assert len(set(homes)) > 1, f"all sessions began at {homes[0]}"
    seen = 1
    for this_round in range(2 * rounds):
        seen += 1
        for i in in_any_order(visitors):
            assert visit(visitors[i]) == (homes[i], seen), f"visitor {i}, who began at {homes[i]}"
        if this_round % rounds == rounds - 1:
            limpet.reload()
    check_that_all_are_at(homes, visitors, visit)
    return homes


def check_that_all_are_at(homes, visitors, visit):
    """Once more, now or later."""
    for i in in_any_order(visitors):
        assert visit(visitors[i])[0] == homes[i], f"visitor {i}, who began at {homes[i]}"
