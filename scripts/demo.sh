#!/usr/bin/env bash
# The main job, from nothing: install, find comic-tiny's gaze heads, steer them, write a report.
# Arguments go to `gazeheads run` (see `gazeheads run --help`).
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh" ""
exec gazeheads run "$@"
