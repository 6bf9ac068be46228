#!/usr/bin/env bash
# Submit a job and print its id, alone on a line.
#
#   submit.sh RULE THREADS MEM_MB MINUTES GPUS SCRIPT
set -euo pipefail
rule=$1 threads=$2 mem_mb=$3 minutes=$4 gpus=$5 script=$6

logs=.snakemake/cluster_logs
mkdir -p "$logs"
options=(
    --parsable
    # By this name the workflow knows its jobs, as long as there is squeue.
    --job-name="taskrsa_$rule"
    --output="$logs/$rule-%j.log"
    --ntasks=1
    --cpus-per-task="$threads"
    --mem="$mem_mb"
    --time="$minutes"
)
# Edit here: account, partition, what else your site wants.
# options+=(--account=my_project)
if [ "$gpus" -gt 0 ]; then
    options+=(--partition=gpu --gpus="$gpus")
fi
sbatch "${options[@]}" "$script"
