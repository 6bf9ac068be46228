#!/usr/bin/env bash
# Print success, failed or running for the job with this id.
#
#   status.sh ID
set -uo pipefail

if ! state=$(squeue --noheader --states=all --format=%T --jobs="$1" 2>&1); then
    # A scheduler that is busy says nothing of the job: ask again later.
    case $state in
        *"Invalid job id"*) echo failed ;;
        *) echo running ;;
    esac
    exit
fi
case $state in
    COMPLETED) echo success ;;
    BOOT_FAIL | CANCELLED | DEADLINE | FAILED | NODE_FAIL | OUT_OF_MEMORY | PREEMPTED | TIMEOUT)
        echo failed ;;
    *) echo running ;;
esac
