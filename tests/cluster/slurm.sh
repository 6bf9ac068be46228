#!/usr/bin/env bash
# A Slurm of two nodes on this machine, for tests: n1 with one stand-in GPU, and n2. Needs root.
#
#   TASKRSA_SLURM=/tmp/some/folder tests/cluster/slurm.sh up | lose NODE | recover NODE | down
#
# Its state and logs lie in $TASKRSA_SLURM. Only processes that have a log there open, and their
# children, are ever ended.
set -euo pipefail
base=${TASKRSA_SLURM:?name the folder for its state}
nodes=(n1 n2)
port=26817 # of the controller; the nodes have the next ones

# Jobs look for the configuration here and nowhere else.
links=(slurm.conf gres.conf)
place=/etc/slurm

configure() {
    mkdir -p "$base"/{etc,log,state,spool,munge}
    # A device file, or CUDA_VISIBLE_DEVICES would not be set; this one leads nowhere.
    mknod "$base/gpu0" c 1 3
    head -c 1024 /dev/urandom >"$base/etc/munge.key"
    chmod 400 "$base/etc/munge.key"
    chmod 755 "$base" "$base"/*/
    chown -R munge: "$base/etc/munge.key" "$base/log" "$base/munge"
    cat >"$base/etc/slurm.conf" <<CONF
ClusterName=test
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmctldPort=$port
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$base/munge/socket
StateSaveLocation=$base/state
SlurmdSpoolDir=$base/spool/%n
SlurmctldPidFile=$base/state/slurmctld.pid
SlurmdPidFile=$base/state/%n.pid
SlurmctldLogFile=$base/log/slurmctld.log
SlurmdLogFile=$base/log/%n.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
MailProg=/bin/true
# Memory is looked at every second; a job that takes more than it asked for is ended.
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=256
EnforcePartLimits=ALL
GresTypes=gpu
AccountingStorageType=accounting_storage/none
ReturnToService=2
SlurmdTimeout=10
KillWait=5
MinJobAge=600
NodeName=n1 NodeHostname=$(hostname -s) NodeAddr=127.0.0.1 Port=$((port + 1)) CPUs=4 RealMemory=16000 Gres=gpu:1
NodeName=n2 NodeHostname=$(hostname -s) NodeAddr=127.0.0.1 Port=$((port + 2)) CPUs=4 RealMemory=16000
PartitionName=cpu Nodes=n1,n2 Default=YES MaxTime=2-0
PartitionName=gpu Nodes=n1 MaxTime=2-0
CONF
    echo "NodeName=n1 Name=gpu File=$base/gpu0" >"$base/etc/gres.conf"
}

start() { # NAME COMMAND...: run a daemon in a session of its own
    local name=$1
    shift
    setsid "$@" >"$base/log/$name.out" 2>&1 </dev/null &
}

start_node() {
    mkdir -p "$base/spool/$1"
    start "$1" slurmd -D -N "$1"
}

parts() { # NAME: the daemon and, of a node, the supervisors of its jobs' steps; none if it does not run
    local pid
    for pid in $(pgrep -x 'slurmstepd|slurmd|slurmctld|munged' 2>/dev/null); do
        if readlink "/proc/$pid"/fd/* 2>/dev/null | grep -qx "$base/log/$1\.\(log\|out\)"; then
            echo "$pid"
        fi
    done
}

is_left_over() { # FILE: a test that was killed left this link: to nowhere, or to what no daemon uses
    local target
    [ -L "$1" ] || return 1
    target=$(readlink "$1")
    [ -e "$target" ] || return 0
    [[ $target == */taskrsa-slurm-*/etc/* ]] || return 1
    [ -z "$(base=${target%/etc/*} && parts slurmctld)" ]
}

offspring() { # PID...: these and all that they started
    local pid
    for pid in "$@"; do
        echo "$pid"
        # shellcheck disable=SC2046
        offspring $(pgrep -P "$pid")
    done
}

until_true() { # SECONDS COMMAND...
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.2
    done
}

all_idle() { [ "$(timeout 5 sinfo --noheader --Node --format=%T 2>/dev/null | sort -u)" = idle ]; }
none_left() { [ -z "$(timeout 5 squeue --noheader 2>/dev/null)" ]; }
is_up() { timeout 5 sinfo --noheader --nodes="$1" --format=%T | grep -qx 'idle\|mixed\|allocated'; }
ended() { ! [ -e "/proc/$1" ] || grep -q '^State:.Z' "/proc/$1/status"; }

up() {
    local name
    for name in "${links[@]}"; do
        if is_left_over "$place/$name"; then rm "$place/$name"; fi
        if [ -e "$place/$name" ]; then
            echo "error: $place/$name: there is a Slurm on this machine; it is left alone" >&2
            return 1
        fi
    done
    configure
    mkdir -p "$place"
    for name in "${links[@]}"; do ln -s "$base/etc/$name" "$place/$name"; done
    start munged setpriv --reuid munge --regid munge --clear-groups munged --foreground \
        --socket="$base/munge/socket" --key-file="$base/etc/munge.key" \
        --pid-file="$base/munge/pid" --seed-file="$base/munge/seed" --log-file="$base/log/munged.log"
    until_true 10 test -S "$base/munge/socket"
    start slurmctld slurmctld -D
    for name in "${nodes[@]}"; do start_node "$name"; done
    if ! until_true 30 all_idle; then
        tail -n 5 "$base"/log/* >&2
        echo "error: Slurm did not come up; see $base/log" >&2
        return 1
    fi
}

lose() { # NODE: all of it dies at once, and the controller is told rather than left to find out
    local pids
    # shellcheck disable=SC2046
    pids=$(offspring $(parts "$1") | sort -u)
    # shellcheck disable=SC2086
    kill -KILL $pids 2>/dev/null || true
    timeout 10 scontrol update nodename="$1" state=down reason=test
}

recover() { # NODE: it takes jobs again as soon as it has reported (ReturnToService)
    start_node "$1"
    until_true 30 is_up "$1"
}

down() {
    local name pid
    if [ -n "$(parts slurmctld)" ]; then
        timeout 5 scancel --user=root || true
        until_true 20 none_left || true
    fi
    # Nodes before the controller, which they would wait for.
    for name in "${nodes[@]}" slurmctld munged; do
        # shellcheck disable=SC2046
        for pid in $(offspring $(parts "$name") | sort -u); do
            kill "$pid" 2>/dev/null || true
            until_true 5 ended "$pid" || kill -KILL "$pid" 2>/dev/null || true
        done
    done
    for name in "${links[@]}"; do
        if [ "$(readlink "$place/$name")" = "$base/etc/$name" ]; then rm "$place/$name"; fi
    done
}

"$@"
