"""What every benchmark uses: timing, facts of the machine, results on disk, random bundles."""
