"""`python -m bench`."""

import sys

from bench.cases import QUICK
from bench.run import rounds, started

with started(QUICK) as bench:
    run = rounds(bench, QUICK, print)
for s in run.samples:
    r = s.result
    n = len(r.latencies_us)
    l = sorted(r.latencies_us)
    print(s.row.way, s.row.payload, s.connections, round(n / r.seconds), round(l[n // 2]), {k: round(v / n) for k, v in r.cpu_us.items()}, s.lag_seconds)
print(run.recorded, run.worst_lag_seconds)
