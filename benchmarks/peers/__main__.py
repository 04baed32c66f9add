"""python -m benchmarks.peers BUNDLE STUDENT [--python PATH]"""

from benchmarks.common.command import run_script
from benchmarks.peers.compare import peers

if __name__ == "__main__":
    run_script(peers)
