"""Contestants run in turn, so that whatever else the machine does hits them alike; medians, ratios and bars."""

from statistics import median

from . import load


def in_turn(contestants, count):
    """Run each of {name: function} once a round, every second round backwards; {name: [result, ...]}."""
    results = {name: [] for name in contestants}
    for number in range(count):
        for name in list(contestants)[::-1 if number % 2 else 1]:
            results[name].append(contestants[name]())
    return results


def rate(host, name, seconds):
    """A contestant: conversations with a service of `host`; gives how many a second, and the CPU time of each in us."""
    def run():
        before = host.cpu()
        done = load.conversations(host.address[name], seconds)
        return done / seconds, (host.cpu() - before) / done
    return run


def compare(results, bars, peer, unit="/s"):
    """Print all medians, and each contestant with a bar against the peer; returns whether all bars are met."""
    for name, pairs in results.items():
        rates, cpu = zip(*pairs)
        print(f"  {name:<40} {_figure(median(rates))} {unit}   {_figure(median(cpu))} us of CPU each")
    met = [verdict(f"{name} / {peer}", ratio(results[name], results[peer]), bar) for name, bar in bars.items()]
    return all(met)


def ratio(ours, theirs):
    """The median of what each round gave: our rate by theirs in the same round."""
    return median(mine / his for (mine, _), (his, _) in zip(ours, theirs))


def verdict(title, value, bar, most=False, unit=""):
    """Print a figure beside the bar it is held against; returns whether it is met."""
    met = value <= bar if most else value >= bar
    print(f"  {title:<40} {value:10.2f}{unit}   bar: at {'most' if most else 'least'} {bar:g}, "
          f"{'met' if met else 'NOT MET'}")
    return met


def _figure(value):
    return f"{value:10,.{0 if value >= 1000 else 1}f}"
