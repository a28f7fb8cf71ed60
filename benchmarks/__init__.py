"""How fast and lean finding and steering heads is: ours, the published protocol, the plain model.

``python -m benchmarks`` measures and writes RESULTS.md beside this file.
"""
