# shellcheck shell=bash
# Kafka without ZooKeeper, run from its Maven artifacts. Each node is broker and controller.
kafka_version=4.1.2

kafka_node_count() {
  [[ ! -f $home/kafka/nodes ]] || { cat "$home/kafka/nodes"; return; }
  echo "${BROKERS_NODES:-1}"
}

kafka_ports() {
  local node
  echo main tls controller
  for ((node = 2; node <= $(kafka_node_count); node++)); do echo "main$node" "tls$node" "controller$node"; done
}

kafka_processes() {
  local node
  for ((node = 1; node <= $(kafka_node_count); node++)); do echo "node$node"; done
}

kafka_port() { # NAME NODE
  if (($2 == 1)); then port kafka "$1"; else port kafka "$1$2"; fi
}

kafka_address() {
  local node list=
  for ((node = 1; node <= $(kafka_node_count); node++)); do list+="${list:+,}127.0.0.1:$(kafka_port main "$node")"; done
  echo "$list"
}

kafka_installed() { [[ -d $cache/kafka-$kafka_version ]] && command -v java >/dev/null; }
kafka_install() {
  maven_folder "kafka-$kafka_version" "org.apache.kafka:kafka_2.13:$kafka_version" org.apache.logging.log4j:log4j-slf4j-impl:2.24.3
}

kafka_configure() { # NODE FILE
  local node=$1 other count voters= copies
  count=$(kafka_node_count)
  copies=$((count < 3 ? count : 3))
  for ((other = 1; other <= count; other++)); do
    voters+="${voters:+,}$other@127.0.0.1:$(kafka_port controller "$other")"
  done
  cat >"$2" <<CONFIG
process.roles=broker,controller
node.id=$node
controller.quorum.voters=$voters
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:$(kafka_port main "$node"),CONTROLLER://127.0.0.1:$(kafka_port controller "$node")
advertised.listeners=PLAINTEXT://127.0.0.1:$(kafka_port main "$node")
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs=$home/kafka/data/node$node
num.partitions=1
default.replication.factor=$copies
offsets.topic.replication.factor=$copies
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=$copies
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=$copies
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=4
group.initial.rebalance.delay.ms=0
# A broker that was killed may come back only after its old session ran out, 9 s by default.
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=400
$(kafka_extra_lines "$node")
CONFIG
}

# The names of a node's own ports are without its number: @PORT@, @TLS_PORT@, @CONTROLLER_PORT@.
kafka_extra_lines() {
  local text=${BROKERS_LINES:-}
  text=${text//@PORT@/$(kafka_port main "$1")}
  text=${text//@TLS_PORT@/$(kafka_port tls "$1")}
  text=${text//@CONTROLLER_PORT@/$(kafka_port controller "$1")}
  echo "${text//@DIR@/$home/kafka}"
}

kafka_launch() { # PROCESS
  local folder=$home/kafka node=${1#node} properties
  properties=$folder/$1.properties
  # Later commands may come without BROKERS_NODES.
  [[ -f $folder/nodes ]] || echo "${BROKERS_NODES:-1}" >"$folder/nodes"
  kafka_configure "$node" "$properties"
  cat >"$folder/log4j2.properties" <<'CONFIG'
rootLogger.level=info
rootLogger.appenderRef.0.ref=stdout
appender.0.type=Console
appender.0.name=stdout
appender.0.layout.type=PatternLayout
appender.0.layout.pattern=%d %p %m (%c)%n
logger.0.name=org.apache.kafka.common.config
logger.0.level=warn
CONFIG
  local java=(java -Xms128m -Xmx640m -XX:+UseSerialGC "-Dlog4j2.configurationFile=$folder/log4j2.properties" -cp "$cache/kafka-$kafka_version/*")
  if [[ ! -f $folder/data/node$node/meta.properties ]]; then
    # Any 16 bytes in URL-safe base64; all nodes of a cluster share them.
    [[ -f $folder/cluster ]] || echo "A$(head -c 15 /dev/urandom | base64 | tr '+/' '-_' | cut -c 1-20)A" >"$folder/cluster"
    "${java[@]}" -XX:TieredStopAtLevel=1 kafka.tools.StorageTool format -t "$(cat "$folder/cluster")" -c "$properties" \
      >>"$folder/$1.log" 2>&1 || return 1
  fi
  spawn kafka "$1" "${java[@]}" kafka.Kafka "$properties"
}

# Each running node answers a Metadata request (version 4, all topics) with the nodes it knows; all of them are there
# unless one was stopped on purpose.
kafka_probe() {
  local node up=0 answer
  for ((node = 1; node <= $(kafka_node_count); node++)); do ! running kafka "node$node" || up=$((up + 1)); done
  ((up > 0)) || return 1
  for ((node = 1; node <= $(kafka_node_count); node++)); do
    running kafka "node$node" || continue
    answer=$(converse "$(kafka_port main "$node")" '\x00\x00\x00\x14\x00\x03\x00\x04\x00\x00\x00\x07\x00\x05probe\x00\x00\x00\x00\x00' 16)
    [[ $answer == ????????00000007????????0000000[1-9] ]] && ((${answer:31:1} >= up)) || return 1
  done
}
