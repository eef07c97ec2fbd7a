# shellcheck shell=bash
# nats-server with JetStream: built by Go where there is one, else from the distribution's packages (older: without
# scheduled messages).
nats_version=v2.14.9

nats_program() {
  local built=$cache/nats-server-$nats_version place
  if [[ -x $built ]]; then
    echo "$built"
    return 0
  fi
  ! command -v go >/dev/null || return 1
  for place in /usr/sbin/nats-server /usr/bin/nats-server; do
    [[ ! -x $place ]] || { echo "$place"; return 0; }
  done
  return 1
}

nats_ports() { echo main monitor; }
nats_processes() { echo server; }
nats_address() { echo "nats://127.0.0.1:$(port nats main)"; }
nats_installed() { nats_program >/dev/null; }

nats_install() {
  if ! command -v go >/dev/null; then
    apt_install nats-server
    return
  fi
  say "building nats-server $nats_version"
  local work
  work=$(mktemp -d "$cache/go.XXXXXX")
  GOBIN=$work CGO_ENABLED=0 go install -trimpath -ldflags '-s -w' "github.com/nats-io/nats-server/v2@$nats_version" >&2 &&
    mv "$work/nats-server" "$cache/nats-server-$nats_version" && rmdir "$work"
}

nats_launch() {
  cat >"$home/nats/nats.conf" <<CONFIG
listen: "127.0.0.1:$(port nats main)"
http: "127.0.0.1:$(port nats monitor)"
server_name: "jobsd"
jetstream { store_dir: "$home/nats/data" }
$(extra_lines nats)
CONFIG
  # shellcheck disable=SC2086
  spawn nats server "$(nats_program)" -c "$home/nats/nats.conf" ${BROKERS_FLAGS:-}
}

# INFO names JetStream, a PING after CONNECT is answered. With TLS or a password only the first.
nats_probe() {
  timeout 3 bash -c 'exec 3<>"/dev/tcp/127.0.0.1/$0" || exit 1
    read -r info <&3
    [[ $info == INFO*\"jetstream\":true* ]] || exit 1
    [[ $info != *_required\":true* ]] || exit 0
    printf "CONNECT {\"verbose\":false}\r\nPING\r\n" >&3
    read -r answer <&3
    [[ $answer == PONG* ]]' "$(port nats main)" 2>/dev/null
}
