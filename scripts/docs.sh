#!/usr/bin/env bash
# The documentation site, in build/site: no network, no warning, no broken link.
# The report on it is made once (two minutes); remove build/docs-runs to have it made again.
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh" "[docs]"
report="build/docs-runs/report.html"
if [ ! -f "$report" ]; then
    echo "== The main job, for the site's report"
    gazeheads run --out build/docs-runs
fi
echo "== mkdocs"
export GAZEHEADS_SITE_REPORT="$report" NO_MKDOCS_2_WARNING=1
exec mkdocs build --strict "$@"
