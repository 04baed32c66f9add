"""`understudy bench`: the benchmarks that a user may want to run on their own machine."""

import typer

from benchmarks.http import throughput
from benchmarks.latency import latency
from benchmarks.overload import overload

bench = typer.Typer(no_args_is_help=True, help="Measure on this machine.")
bench.command("latency")(latency)
bench.command("http")(throughput)
bench.command("overload")(overload)
