# shellcheck shell=bash
# What all brokers share: processes by recorded pid, ports, locks, installing. Sourced by ../brokers.sh.

known() {
  local kind
  for kind in "${kinds[@]}"; do [[ $kind != "$1" ]] || return 0; done
  die "there is no broker '$1' (there are: ${kinds[*]})"
}

# ------------------------------------------------------------------ processes
# $home/KIND/PROCESS.pid holds "PID BIRTH": a pid that was given to another process is never taken for ours.

born_at() { # PID: start time in clock ticks, nothing if there is no such process or it only waits to be collected
  local stat
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
  # After the command's name, which may contain anything: state is field 1, start time field 20.
  read -ra stat <<<"${stat##*) }"
  [[ ${stat[0]} == [ZX] ]] || echo "${stat[19]}"
}

pid_of() { # KIND PROCESS
  local pid born
  read -r pid born 2>/dev/null <"$home/$1/$2.pid" || return 1
  [[ -n $born && $(born_at "$pid") == "$born" ]] || return 1
  echo "$pid"
}

running() { pid_of "$@" >/dev/null; }

spawn() { # KIND PROCESS COMMAND…: runs on its own, output to KIND/PROCESS.log
  local kind=$1 process=$2 pid
  shift 2
  setsid "$@" </dev/null >>"$home/$kind/$process.log" 2>&1 9>&- 8>&- &
  pid=$!
  echo "$pid $(born_at "$pid")" >"$home/$kind/$process.pid"
}

end() { # KIND PROCESS SIGNAL SECONDS: SIGKILL follows after that time
  local kind=$1 process=$2 signal=$3 limit=$4 pid began=$SECONDS
  if pid=$(pid_of "$kind" "$process"); then
    kill "-$signal" "$pid" 2>/dev/null || true
    kill -CONT "$pid" 2>/dev/null || true
    while running "$kind" "$process"; do
      if ((SECONDS - began >= limit)); then
        say "$kind: $process did not end in $limit s, SIGKILL"
        kill -KILL "$pid" 2>/dev/null || true
        limit=$((limit + 10))
      fi
      sleep 0.05
    done
  fi
  rm -f "$home/$kind/$process.pid"
}

# ------------------------------------------------------------------ ports and conversations

# Below 32768: above it any outgoing connection may hold a port, and a client that dials a dead port there can even
# reach itself.
free_port() { # " PORT PORT … " that are taken already
  local candidate
  while read -r candidate; do
    [[ $1 != *" $candidate "* ]] || continue
    answers "$candidate" || { echo "$candidate"; return 0; }
  done < <(shuf -i 10240-30239 -n 200)
  die "there is no free port"
}

port() { # KIND NAME
  local line
  line=$(grep "^$2=" "$home/$1/ports" 2>/dev/null) || die "$1 has no port '$2' (was it started?)"
  echo "${line#*=}"
}

answers() { timeout 2 bash -c 'exec 3<>"/dev/tcp/127.0.0.1/$0"' "$1" 2>/dev/null; }

# PORT SEND READ: opens a connection, sends what printf makes of SEND, prints READ bytes of the answer in hex.
converse() {
  timeout 3 bash -c 'exec 3<>"/dev/tcp/127.0.0.1/$0" || exit; printf "$1" >&3; head -c "$2" <&3 | od -An -v -tx1 | tr -d " \n"' \
    "$1" "$2" "$3" 2>/dev/null || true
}

# KIND [PROCESS]: BROKERS_LINES with its @NAMES@ replaced; a port `tls` is @TLS_PORT@, `main` is @PORT@.
extra_lines() {
  local kind=$1 text=${BROKERS_LINES:-} line name value
  while IFS='=' read -r name value; do
    name=${name^^}
    line="@${name//-/_}_PORT@"
    text=${text//$line/$value}
    [[ $name != MAIN ]] || text=${text//@PORT@/$value}
  done <"$home/$kind/ports"
  echo "${text//@DIR@/$home/$kind}"
}

# ------------------------------------------------------------------ locks and installing

lock_home() { # one that changes something at a time; brokers do not inherit it
  mkdir -p "$home"
  exec 9>"$home/.lock"
  flock -w 300 9 || die "another brokers.sh works in $home"
}

lock_cache() {
  mkdir -p "$cache"
  exec 8>"$cache/.lock"
  flock -w 900 8 || die "another brokers.sh is installing"
}

as_root() {
  if [[ $(id -u) == 0 ]]; then "$@"; else sudo -n "$@"; fi
}

apt_install() {
  command -v apt-get >/dev/null || { say "needs apt-get to install $*"; return 1; }
  as_root true 2>/dev/null || { say "needs root, or sudo without a password, to install $*"; return 1; }
  say "installing $*"
  # Packages start their services on default ports while they are installed, unless this file forbids it.
  local policy=/usr/sbin/policy-rc.d ours= result=0
  if [[ ! -e $policy ]]; then
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
    ours=yes
  fi
  local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -qq)
  as_root "${apt[@]}" install -y --no-install-recommends "$@" >&2 || {
    as_root "${apt[@]}" update >&2 || true
    as_root "${apt[@]}" install -y --no-install-recommends "$@" >&2 || result=1
  }
  [[ -z $ours ]] || as_root rm -f "$policy"
  return $result
}

maven_folder() { # NAME GROUP:ARTIFACT:VERSION…: jars of these and of all they need at run time, in $cache/NAME
  local name=$1 work artifact group id version
  shift
  command -v java >/dev/null && command -v mvn >/dev/null || apt_install openjdk-17-jre-headless maven || return 1
  say "fetching $*"
  work=$(mktemp -d "$cache/maven.XXXXXX")
  {
    echo "<project><modelVersion>4.0.0</modelVersion><groupId>local</groupId><artifactId>$name</artifactId>"
    echo "<version>1</version><packaging>pom</packaging><dependencies>"
    for artifact in "$@"; do
      IFS=: read -r group id version <<<"$artifact"
      echo "<dependency><groupId>$group</groupId><artifactId>$id</artifactId><version>$version</version></dependency>"
    done
    echo "</dependencies></project>"
  } >"$work/pom.xml"
  local goal=org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies
  if (cd "$work" && mvn -q -B "$goal" -DoutputDirectory=jars -DincludeScope=runtime) >"$work/log" 2>&1; then
    mv "$work/jars" "$cache/$name"
    rm -rf "$work"
  else
    grep -m 3 ERROR "$work/log" >&2 || true
    rm -rf "$work"
    return 1
  fi
}
