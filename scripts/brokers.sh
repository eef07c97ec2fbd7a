#!/usr/bin/env bash
# Real brokers on free loopback ports for the tests: no root services, no containers. See `scripts/brokers.sh help`.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
kinds=(amqp nats beanstalk kafka sqs)

usage() {
  cat <<'USAGE'
usage: scripts/brokers.sh COMMAND [BROKER…]

BROKER is amqp (RabbitMQ), nats, beanstalk, kafka or sqs (ElasticMQ); without one, all of them.

  start     install what is missing, start, wait until each answers in its own protocol; safe to repeat
  env       shell lines that tell the tests where the running brokers are: eval "$(scripts/brokers.sh env)"
  stop      end by recorded pid; data and ports stay
  restart   stop, then start on the same ports with the same data
  kill      SIGKILL by recorded pid
  pause     SIGSTOP: connections are accepted, nothing is answered     resume   SIGCONT
  wipe      stop, and delete data and ports
  install   only install        installed   exit 0 if nothing has to be installed
  status    one line per broker
  address BROKER       port BROKER NAME       pid BROKER       log BROKER [LINES]
  ctl ARGUMENT…        rabbitmqctl of this RabbitMQ

kill, stop, start, pause and resume also take one process of a broker: kafka:node2.

Environment:
  BROKERS_DIR     data, configuration, logs, pids and ports of one independent set   [.brokers/shared in the clone]
  BROKERS_CACHE   what was downloaded, shared by all sets                            [~/.cache/jobsd-brokers]
  BROKERS_LINES   lines appended to the configuration of what is started (amqp, nats, kafka, sqs). In them @PORT@,
                  @TLS_PORT@ and other names of ports, and @DIR@, the broker's folder, are replaced
  BROKERS_FLAGS   further arguments of the server (beanstalk, nats)
  BROKERS_NODES   nodes of the Kafka cluster                                         [1]
  BROKERS_OWNER   pid of a process with which this set ends, data included
  BROKERS_START_TIMEOUT [120]  BROKERS_STOP_TIMEOUT [30]   seconds
USAGE
}

say() { echo "brokers: $*" >&2; }
die() { say "$@"; exit 1; }

absolute() { case $1 in /*) echo "$1" ;; *) echo "$PWD/$1" ;; esac; }
home=$(absolute "${BROKERS_DIR:-$here/../.brokers/shared}")
cache=$(absolute "${BROKERS_CACHE:-${XDG_CACHE_HOME:-${HOME:-$here/../.brokers}/.cache}/jobsd-brokers}")
start_timeout=${BROKERS_START_TIMEOUT:-120}
stop_timeout=${BROKERS_STOP_TIMEOUT:-30}

# shellcheck source=brokers/common.sh
for part in common amqp nats beanstalk kafka sqs; do source "$here/brokers/$part.sh"; done

# ------------------------------------------------------------------ one broker
# Each broker is a file in brokers/ with the functions
#   K_ports K_installed K_install K_launch PROCESS K_processes K_probe K_address

# Fresh free ports, unless the broker has some from its last start.
choose_ports() {
  local kind=$1 name port taken=" "
  [[ ! -f $home/$kind/ports ]] || return 0
  for name in $("${kind}_ports"); do
    port=$(free_port "$taken")
    taken+="$port "
    echo "$name=$port" >>"$home/$kind/ports.new"
  done
  mv "$home/$kind/ports.new" "$home/$kind/ports"
}

launch() { # KIND [PROCESS]: starts what is not running
  local kind=$1 process
  mkdir -p "$home/$kind/data"
  choose_ports "$kind"
  for process in ${2:-$("${kind}_processes")}; do
    running "$kind" "$process" || "${kind}_launch" "$process"
  done
}

await_ready() { # KIND: 0 ready, 1 ended or too late
  local kind=$1 began=$SECONDS process
  until "${kind}_probe"; do
    for process in $("${kind}_processes"); do
      running "$kind" "$process" || [[ -n ${2:-} && $2 != "$process" ]] || return 1
    done
    if ((SECONDS - began >= start_timeout)); then
      say "$kind: no answer after $start_timeout s"
      return 1
    fi
    sleep 0.1
  done
}

start_one() { # KIND [PROCESS]
  local kind=$1 process=${2:-} attempt fresh
  "${kind}_installed" || (lock_cache && "${kind}_installed" || "${kind}_install") >&2 || return 1
  fresh=yes
  [[ ! -f $home/$kind/ports ]] || fresh=
  for attempt in 1 2 3; do
    launch "$kind" "$process" || return 1
    if await_ready "$kind" "$process"; then
      echo "$kind: ready at $("${kind}_address")"
      return 0
    fi
    # Another process may have taken a port between the look and the start; anything else does not get better.
    [[ -n $fresh ]] && grep -qiE 'eaddrinuse|in use' "$home/$kind"/*.log || break
    wipe_one "$kind"
  done
  tail -n 25 "$home/$kind"/*.log >&2 || true
  say "$kind: did not start (log above)"
  stop_one "$kind" >&2
  return 1
}

stop_one() { # KIND [PROCESS]
  local kind=$1 process
  [[ -d $home/$kind ]] || return 0
  for process in ${2:-$("${kind}_processes")}; do end "$kind" "$process" TERM "$stop_timeout"; done
  [[ -n ${2:-} ]] || clean_up "$kind"
  echo "$kind: stopped"
}

clean_up() { ! declare -F "$1_cleanup" >/dev/null || "$1_cleanup"; }

# Nothing of it is wanted any more, so nothing is waited for.
wipe_one() { # KIND
  local kind=$1
  [[ -d $home/$kind ]] || return 0
  signal_one KILL "$kind"
  clean_up "$kind"
  rm -rf "${home:?}/$kind"
}

signal_one() { # SIGNAL KIND [PROCESS]
  local signal=$1 kind=$2 process
  for process in ${3:-$("${kind}_processes")}; do
    if [[ $signal == KILL ]]; then end "$kind" "$process" KILL 10; else kill "-$signal" "$(pid_of "$kind" "$process")"; fi
  done
}

# Kinds are started side by side: one that fails does not keep the others from being used.
start_all() {
  local target failed=0
  local -A jobs=()
  for target in "$@"; do
    start_one ${target/:/ } &
    jobs[$target]=$!
  done
  for target in "$@"; do wait "${jobs[$target]}" || failed=1; done
  return $failed
}

status() {
  local kind process pid state
  for kind in "$@"; do
    if [[ ! -f $home/$kind/ports ]]; then
      echo "$kind: $("${kind}_installed" && echo "installed, never started" || echo "not installed")"
      continue
    fi
    for process in $("${kind}_processes"); do
      pid=$(pid_of "$kind" "$process") || pid=
      state="stopped"
      [[ -z $pid ]] || state="runs, pid $pid"
      echo "$kind: $process $state$([[ -z $pid ]] || ! "${kind}_probe" || echo ", ready at $("${kind}_address")")"
    done
  done
}

print_env() {
  local kind able=
  for kind in "$@"; do
    if [[ -f $home/$kind/ports ]] && "${kind}_probe"; then
      echo "export JOBSD_TEST_${kind^^}=$(printf %q "$("${kind}_address")")"
    fi
    ! "${kind}_installed" || able+="${able:+,}$kind"
  done
  echo "export JOBSD_TEST_PRIVATE_BROKERS=$able"
}

# Ends this set when its owner is gone, so that a test run that was killed leaves nothing behind.
watch_owner() {
  local owner=$1 born=$2 kind
  while [[ -d $home && $(born_at "$owner") == "$born" ]]; do sleep 1; done
  [[ -d $home ]] || return 0
  for kind in "${kinds[@]}"; do wipe_one "$kind"; done
  rm -rf "$home"
}

start_watch() {
  [[ -n ${BROKERS_OWNER:-} && ! -f $home/watched ]] || return 0
  touch "$home/watched"
  setsid "${BASH_SOURCE[0]}" watch "$BROKERS_OWNER" "$(born_at "$BROKERS_OWNER")" </dev/null >/dev/null 2>&1 9>&- &
}

main() {
  local command=${1:-help} target failed=0
  shift || true
  case $command in
    help | -h | --help) usage; return 0 ;;
    ctl) amqp_ctl "$@"; return ;;
    log) tail -n "${2:-40}" "$home/$1"/*.log; return ;;
    port) known "$1"; port "$1" "$2"; return ;;
    watch) watch_owner "$1" "$2"; return ;;
  esac
  (($# > 0)) || set -- "${kinds[@]}"
  for target in "$@"; do known "${target%%:*}"; done
  case $command in
    start) lock_home; start_watch; start_all "$@" ;;
    stop) lock_home; for target in "$@"; do stop_one ${target/:/ }; done ;;
    restart) lock_home; for target in "$@"; do stop_one ${target/:/ }; done; start_all "$@" ;;
    kill) lock_home; for target in "$@"; do signal_one KILL ${target/:/ }; done ;;
    pause) for target in "$@"; do signal_one STOP ${target/:/ }; done ;;
    resume) for target in "$@"; do signal_one CONT ${target/:/ }; done ;;
    wipe) lock_home; for target in "$@"; do wipe_one "$target"; done ;;
    install) lock_cache; for target in "$@"; do "${target}_installed" || "${target}_install" || failed=1; done; return $failed ;;
    installed) for target in "$@"; do "${target}_installed" || failed=1; done; return $failed ;;
    status) status "$@" ;;
    env) print_env "$@" ;;
    address) "${1}_address" ;;
    pid) for target in $("${1}_processes"); do pid_of "$1" "$target"; done ;;
    *) usage >&2; return 2 ;;
  esac
}

main "$@"
