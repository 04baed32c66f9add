"""`understudy bench`: the benchmarks that a user may want to run on their own machine."""

import typer

from benchmarks.cost import cost
from benchmarks.http import throughput
from benchmarks.latency import latency
from benchmarks.load.command import load
from benchmarks.overload import overload
from benchmarks.peers.compare import peers
from benchmarks.scale import scale

bench = typer.Typer(no_args_is_help=True, help="Measure on this machine.")
bench.command("latency")(latency)
bench.command("http")(throughput)
bench.command("overload")(overload)
bench.command("peers")(peers)
bench.command("load")(load)
bench.command("scale")(scale)
bench.command("cost")(cost)
