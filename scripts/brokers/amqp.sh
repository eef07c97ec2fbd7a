# shellcheck shell=bash
# RabbitMQ from the distribution's packages.

amqp_ports() { echo main tls management distribution epmd; }
amqp_processes() { echo server; }
amqp_address() { echo "amqp://guest:guest@127.0.0.1:$(port amqp main)"; }
amqp_installed() { [[ -x /usr/lib/rabbitmq/bin/rabbitmq-server ]] && command -v epmd >/dev/null; }
amqp_install() { apt_install rabbitmq-server; }

# What the server and rabbitmqctl have to agree on.
amqp_environment() {
  local folder=$home/amqp
  unset RABBITMQ_PORT RABBITMQ_URL
  export HOME=$folder/data LANG=C.UTF-8
  export ERL_EPMD_ADDRESS=127.0.0.1
  ERL_EPMD_PORT=$(port amqp epmd)
  RABBITMQ_DIST_PORT=$(port amqp distribution)
  export ERL_EPMD_PORT RABBITMQ_DIST_PORT
  export RABBITMQ_NODENAME=jobsd@localhost
  export RABBITMQ_CONF_ENV_FILE=$folder/rabbitmq-env.conf
  export RABBITMQ_CTL_DIST_PORT_MIN=$((RABBITMQ_DIST_PORT + 1)) RABBITMQ_CTL_DIST_PORT_MAX=$((RABBITMQ_DIST_PORT + 60))
}

# The distribution's own wrapper changes the user and uses fixed paths; the script below it does not.
amqp_launch() (
  local folder=$home/amqp
  amqp_environment
  : >"$folder/rabbitmq-env.conf"
  echo "[${BROKERS_PLUGINS:-}]." >"$folder/plugins"
  cat >"$folder/rabbitmq.conf" <<CONFIG
listeners.tcp.local = 127.0.0.1:$(port amqp main)
log.console = true
log.console.level = info
log.file = false
$(extra_lines amqp)
CONFIG
  export RABBITMQ_CONFIG_FILE=$folder/rabbitmq.conf RABBITMQ_ENABLED_PLUGINS_FILE=$folder/plugins
  export RABBITMQ_MNESIA_BASE=$folder/data RABBITMQ_LOG_BASE=$folder/data RABBITMQ_FEATURE_FLAGS_FILE=$folder/data/flags
  export RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1}"
  # Makes the script exec the virtual machine, so that the recorded pid is the broker's.
  export RUNNING_UNDER_SYSTEMD=true
  epmd -names >/dev/null 2>&1 || spawn amqp epmd epmd -address 127.0.0.1 -port "$ERL_EPMD_PORT"
  cd "$folder/data"
  spawn amqp server /usr/lib/rabbitmq/bin/rabbitmq-server
)

# Erlang's name server of this set. Should it have died, the broker started another, whose pid nobody recorded.
amqp_cleanup() {
  end amqp epmd TERM 5
  local epmd
  epmd=$(port amqp epmd 2>/dev/null) || return 0
  ! answers "$epmd" || ERL_EPMD_ADDRESS=127.0.0.1 ERL_EPMD_PORT=$epmd epmd -kill >/dev/null 2>&1 || true
}

# A protocol header is answered by the method Connection.Start.
amqp_probe() { [[ $(converse "$(port amqp main)" 'AMQP\x00\x00\x09\x01' 11) == 010000????????000a000a ]]; }

amqp_ctl() (
  amqp_environment
  exec /usr/lib/rabbitmq/bin/rabbitmqctl "$@"
)
