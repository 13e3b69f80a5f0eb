"""The parts of `bench/explain.py`: networks, floors, contestants in processes of their own, the contest, the checks."""
