#!/bin/sh
# Starts the service with a heap that fits into the memory limit of the container.
#
# Node by itself takes a quarter of the limit, or more than there is. Two thirds leave room for what is not in the heap: buffers that
# wait for slow readers (outbox.total_bytes), sockets, code. NODE_OPTIONS with --max-old-space-size wins over it.
set -eu

# Of cgroup v2, then v1. CGROUP_ROOT is for containers that mount them elsewhere.
cgroups=${CGROUP_ROOT:-/sys/fs/cgroup}
limit=max
for file in "$cgroups/memory.max" "$cgroups/memory/memory.limit_in_bytes"; do
  if [ -r "$file" ]; then
    limit=$(cat "$file")
    break
  fi
done

case $limit in
  '' | *[!0-9]*) heap= ;; # no limit
  # Version 1 writes "no limit" as a number near 2^63.
  *) if [ "${#limit}" -gt 15 ]; then heap=; else heap=$((limit / 1048576 * 2 / 3)); fi ;;
esac
case ${NODE_OPTIONS:-} in *--max-old-space-size* | *--max_old_space_size*) heap= ;; esac

# exec: signals reach the service itself.
cd "$(dirname "$0")/.."
if [ -n "$heap" ]; then set -- --max-old-space-size="$heap" dist/server/main.js "$@"
else set -- dist/server/main.js "$@"; fi
exec node "$@"
