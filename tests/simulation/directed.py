"""Stories that are told on purpose: each is hard on one thing, and the right design survives it."""

from random import Random

from schedcore.testing import Story
from schedcore.testing import _events as e
from schedcore.testing import _people as by_hand
from schedcore.testing._events import SECOND, Event
from schedcore.testing._loop import START
from schedcore.testing._story import Plan

MINUTE = 60 * SECOND
LONG = (
    Plan("long", "@every 20s", 15, {"overlap": "skip"}),
    Plan("queued", "@every 10s", 4, {"overlap": "queue_all", "grace": 600}),
    Plan("once", "@every 15s", 12, {"delivery": "at_most_once"}),
)
SHORT = tuple(
    Plan(f"{overlap}-{number}", "@every 2s", 0.5 * number, {"overlap": overlap})
    for overlap in ("skip", "queue_one", "allow")
    for number in range(2)
)


def story(seed: int, plans: tuple[Plan, ...], *events: Event, minutes: float = 2, replicas: int = 3) -> Story:
    """Make one, with events in order of time."""
    ordered = tuple(sorted(events, key=lambda event: event.at))
    return Story(seed, (0,) * replicas, plans, ordered, round(minutes * MINUTE))


def calm(seed: int) -> Story:
    """Nothing happens."""
    return story(seed, SHORT, minutes=0.5)


def noise(seed: int) -> Story:
    """Requests and replies are lost all the time, and each call takes its time."""
    return story(seed, SHORT + LONG, e.Noise(2 * SECOND, 100 * SECOND, "", 0.1, 0.3, 0.3))


def freezes(seed: int) -> Story:
    """One replica after the other stands still for longer than a lease, in the middle of what it runs."""
    random = Random(seed)
    events = [
        e.Frozen(round(at * SECOND), random.choice("abc"), round(random.uniform(11, 30) * SECOND))
        for at in range(5, 110, 9)
    ]
    return story(seed, LONG, *events)


def long_pause(seed: int) -> Story:
    """One job, and then all, are paused for so long that all rows are read meanwhile."""
    events = [
        by_hand.Paused(40 * SECOND, "skip-0", 6 * MINUTE, ends=False),
        by_hand.Paused(9 * MINUTE, "", 6 * MINUTE, ends=seed % 2 == 0),
    ]
    plans = tuple(Plan(f"skip-{n}", f"@every {n + 10}s", 1, {"grace": 5}) for n in range(2))
    return story(seed, plans, *events, minutes=19)


def asleep(seed: int) -> Story:
    """Replicas stand still while something is on its way to them, and calls are not answered at once."""
    random = Random(seed)
    events: list[Event] = [e.Noise(2 * SECOND, 108 * SECOND, "", 0, 0, 0.5)]
    events += [
        e.Frozen(round(at * SECOND), random.choice("abc"), round(random.uniform(13, 25) * SECOND))
        for at in range(5, 110, 9)
    ]
    return story(seed, SHORT, *events)


def late_answers(seed: int) -> Story:
    """Idle replicas stand still, and what is on its way to them comes seconds after they woke."""
    random = Random(seed)
    events: list[Event] = []
    for at in range(5, 600, 60):
        lasts = random.uniform(20, 30)
        events.append(e.Frozen(at * SECOND, random.choice("abc"), round(lasts * SECOND)))
        events.append(e.Noise(round((at + lasts - 1) * SECOND), 10 * SECOND, "", 0, 0, 5))
    plans = tuple(Plan(f"rare-{number}", f"@every {number + 9}s", 0.1) for number in range(2))
    return story(seed, plans, *events, minutes=10)


def back_again(seed: int) -> Story:
    """The replica with the newest definition is taken for gone, and is not; the store's clock may say so."""
    away: Event = e.Frozen(40 * SECOND, "b", 20 * SECOND)
    if seed % 2:
        away = e.StoreClockStepped(40 * SECOND, 19 * SECOND)
    edit = e.Deployed(10 * SECOND, ("b",), "job", "edit", "@every 7s", restart=seed % 4 < 2)
    return story(seed, (Plan("job", "@every 10s", 1),), edit, away)


def deaths(seed: int) -> Story:
    """Replicas die, mostly in their calls of the store, and come back."""
    random = Random(seed)
    calls = ("commit", "receive", "take_over", "renew", "give_back")
    events: list[Event] = [
        e.KilledInCall(
            round(at * SECOND), random.choice("abc"), random.choice(calls), random.random() < 0.6, 3 * SECOND
        )
        for at in range(3, 110, 4)
    ]
    return story(seed, LONG + SHORT, *events, *(e.Stopped(at * SECOND, "a", 0, SECOND) for at in (25, 65)))


def outages(seed: int) -> Story:
    """The store is away for longer than a lease, again and again, while long runs go on."""
    random = Random(seed)
    events = [e.Outage(at * SECOND, round(random.uniform(12, 20) * SECOND)) for at in (46, 87)]
    plans = tuple(Plan(f"long-{number}", "@every 40s", 36) for number in range(4))
    return story(seed, plans, *events)


def crowded(seed: int) -> Story:
    """Every job takes longer than it should, and nothing else is wrong."""
    overlaps = ("skip", "queue_one", "queue_all")
    plans = (
        *(Plan(each, "@every 4s", 5, {"overlap": each}) for each in overlaps),
        Plan("long", "@every 40s", 36),
    )
    return story(seed, plans, minutes=1)


def in_step(seed: int) -> Story:
    """Something always waits; runs end now and then just when the next are due, on another replica."""
    plans = tuple(
        Plan(f"{overlap}-{number}", "@every 1s", 1.03 + 0.07 * number, {"overlap": overlap})
        for overlap in ("queue_one", "queue_all")
        for number in range(6)
    )
    return story(seed, plans, e.Noise(SECOND, 40 * SECOND, "", 0, 0, 0.01), minutes=0.7)


def late_edits(seed: int) -> Story:
    """Deploys edit jobs while the store is away, and what fell due meanwhile is late."""
    events: list[Event] = []
    plans = tuple(
        Plan(f"{each}", "@every 3s", 0.2, {"catch_up": each, "grace": 2, "overlap": "queue_all"})
        for each in ("latest", "all", "none")
    )
    for number, at in enumerate((12, 42, 72)):
        events.append(e.Outage(at * SECOND, 15 * SECOND))
        edited = plans[number].name
        events.append(e.Deployed((at + 8) * SECOND, ("a", "b", "c"), edited, "edit", "@every 4s"))
    return story(seed, plans, *events)


def short_freezes(seed: int) -> Story:
    """Replicas stand still, one after the other, for shorter than any lease lasts."""
    events = [e.Frozen(at * SECOND, "abc"[at % 3], 5 * SECOND + SECOND // 2) for at in range(5, 110, 8)]
    return story(seed, LONG, *events)


def one_dies(seed: int) -> Story:
    """One replica dies in the middle of what it runs; the two others look for it at the same instants."""
    plans = (*LONG, *(Plan(f"long-{number}", "@every 20s", 15) for number in range(6)))
    return story(seed, plans, e.Killed(23 * SECOND, "a", 90 * SECOND))


def stopped_late(seed: int) -> Story:
    """Replicas are told to stop while they are cut off: by then others have what they ran."""
    events: list[Event] = []
    for number, at in enumerate(range(21, 100, 20)):
        who = "abc"[(number + seed) % 3]
        cut_off = e.CutOff(at * SECOND, who, 15 * SECOND, silent=False)
        events += [cut_off, e.Stopped((at + 14) * SECOND + SECOND // 2, who, 0, SECOND)]
    plans = tuple(Plan(f"long-{number}", "@every 20s", 18) for number in range(4))
    return story(seed, plans, *events)


def bad_deploy(seed: int) -> Story:
    """A replica comes with another definition, and is gone for good."""
    edit = e.Deployed(10 * SECOND, ("c",), "long", "edit", "@every 7s")
    return story(seed, LONG, edit, e.Killed(30 * SECOND, "c", 600 * SECOND), minutes=1.5)


def losses(seed: int) -> Story:
    """The store loses all its data, while slow replicas have steps on their way."""
    random = Random(seed)
    events: list[Event] = [e.Noise(20 * SECOND, 90 * SECOND, "", 0, 0, 3)]
    at = 25.0
    while at < 100:
        events.append(e.Restarted(round(at * SECOND), SECOND // 1000, "lost"))
        at += random.uniform(2, 25)
    return story(seed, SHORT, *events)


def early_losses(seed: int) -> Story:
    """The store loses all its data again and again before there is much of it, and all calls are slow."""
    random = Random(seed)
    events: list[Event] = [e.Noise(SECOND, 60 * SECOND, "", 0, 0, 1.5)]
    events += [
        e.Restarted(at * SECOND + random.randrange(SECOND), SECOND // 1000, "lost") for at in range(4, 60, 2)
    ]
    return story(seed, SHORT, *events, minutes=1.2)


def one_loss(seed: int) -> Story:
    """The store loses all its data once, and nothing else is wrong."""
    return story(seed, SHORT, e.Restarted((25 + seed % 3) * SECOND, SECOND // 1000, "lost"), minutes=1.3)


def deploys(seed: int) -> Story:
    """Each job is known to some of the replicas only, in turn, and the others die now and then."""
    events: list[Event] = []
    for number, at in enumerate(range(5, 100, 8)):
        job, who = SHORT[number % len(SHORT)].name, "abc"[number % 3]
        others = tuple(name for name in "abc" if name != who)
        gone = others if number % 2 else (who,)
        events.append(e.Deployed(at * SECOND, gone, job, "remove", restart=number % 4 < 2))
        events.append(e.Deployed((at + 14) * SECOND, gone, job, "add", restart=number % 4 < 2))
        if number % 3 == 0:
            events.append(e.Killed((at + 5) * SECOND, who, 12 * SECOND))
    return story(seed, SHORT, *events)


def pauses(seed: int) -> Story:
    """Everything is paused and resumed while replicas are slow."""
    events: list[Event] = [e.Noise(2 * SECOND, 110 * SECOND, "", 0, 0, 0.5)]
    events += [by_hand.Paused(at * SECOND, "", 4 * SECOND, ends=False) for at in range(5, 110, 10)]
    return story(seed, SHORT, *events)


def resumed(seed: int) -> Story:
    """While every job is paused a replica dies for good; then they are resumed, and all is well."""
    paused = by_hand.Paused(20 * SECOND, "", 30 * SECOND, ends=False)
    dies = e.Killed((22 + seed % 5) * SECOND, "a", 300 * SECOND)
    plan = Plan("often", "@every 4s", 2, {"overlap": "allow"})
    return story(seed, (plan,), paused, dies, minutes=2.5)


def handed_on(seed: int) -> Story:
    """A replica dies in the middle of what it runs, and who took over is stopped in the middle of it too."""
    dies, *others = "abc"[seed % 3 :] + "abc"[: seed % 3]
    events: list[Event] = [e.Killed(61 * SECOND, dies, 600 * SECOND)]
    events += [e.Stopped((76 + 5 * n) * SECOND, who, 0, 3 * SECOND) for n, who in enumerate(others)]
    plans = tuple(Plan(f"long-{number}", "@every 60s", 36) for number in range(6))
    return story(seed, plans, *events)


def slow_network(seed: int) -> Story:
    """Calls take a quarter of a second, and of two replicas one dies."""
    slow = e.Noise(SECOND, 110 * SECOND, "", 0, 0, 0.2)
    return story(seed, LONG, slow, e.Killed((47 + seed % 12) * SECOND, "a", 90 * SECOND), replicas=2)


def burst(seed: int) -> Story:
    """Two replicas that alone know a job have as much of it as they can when they die."""
    asked = (by_hand.Asked(54 * SECOND + n * 1000, "many", f"k{n}") for n in range(192))
    events = [
        e.Deployed(SECOND, ("c",), "many", "remove", restart=False),
        *asked,
        e.Killed(50 * SECOND, "c", 12 * SECOND),
        *(e.Killed(65 * SECOND, who, 40 * SECOND) for who in "ab"),
    ]
    plans = (
        Plan("many", "@every 600s", 30, {"overlap": "allow"}),
        *(Plan(f"own-{number}", "@every 60s", 30) for number in range(8)),
    )
    return story(seed, plans, *events)


def namesakes(seed: int) -> Story:
    """Jobs and keys that look alike when they are put together."""
    plans = tuple(Plan(name, "@every 30s", 12, {"overlap": "allow"}) for name in ("job", "job:manual"))
    asked = by_hand.Asked(25 * SECOND, "job", f"{START + 30 * SECOND}")
    return story(seed, plans, asked, by_hand.Cancelled(35 * SECOND, "job"), minutes=1)


def bystander(seed: int) -> Story:
    """A replica without any job."""
    removed = (e.Deployed(5 * SECOND, ("c",), plan.name, "remove", restart=False) for plan in LONG)
    return story(seed, LONG, *removed, e.Killed(42 * SECOND, "a", 3 * SECOND), minutes=1)


def cancels(seed: int) -> Story:
    """What runs is cancelled all the time, while replicas stop, die, and lose replies."""
    random = Random(seed)
    events: list[Event] = [e.Noise(2 * SECOND, 100 * SECOND, "", 0.1, 0.3, 0.3)]
    for at in range(22, 100, 3):
        events.append(by_hand.Cancelled(at * SECOND, random.choice(LONG).name))
        if at % 2:
            events.append(e.Stopped((at + 1) * SECOND, random.choice("abc"), 0, SECOND))
        elif random.random() < 0.5:
            events.append(e.Killed((at + 1) * SECOND, random.choice("abc"), SECOND))
    return story(seed, LONG, *events)


def lost_replies(seed: int) -> Story:
    """For a while replies get lost; then nothing is wrong any more, and long runs go on."""
    noise = e.Noise(18 * SECOND, 8 * SECOND, "", 0, 0.4, 0)
    plans = tuple(Plan(f"long-{number}", "@every 2s", 60, {"overlap": "allow"}) for number in range(3))
    return story(seed, plans, noise)


DIRECTED = {
    told.__name__: told
    for told in (
        calm,
        noise,
        freezes,
        asleep,
        late_answers,
        back_again,
        deaths,
        outages,
        losses,
        early_losses,
        one_loss,
        deploys,
        pauses,
        long_pause,
        short_freezes,
        one_dies,
        bad_deploy,
        crowded,
        in_step,
        late_edits,
        stopped_late,
        resumed,
        handed_on,
        slow_network,
        burst,
        namesakes,
        bystander,
        cancels,
        lost_replies,
    )
}
