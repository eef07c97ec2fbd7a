# shellcheck shell=bash
# ElasticMQ, a server that speaks SQS, run from its Maven artifacts. Queues and messages survive a restart.
elasticmq_version=1.6.14

sqs_ports() { echo main; }
sqs_processes() { echo server; }
sqs_address() { echo "http://127.0.0.1:$(port sqs main)"; }
sqs_installed() { [[ -d $cache/elasticmq-$elasticmq_version ]] && command -v java >/dev/null; }
sqs_install() { maven_folder "elasticmq-$elasticmq_version" "org.elasticmq:elasticmq-server_2.13:$elasticmq_version"; }

sqs_launch() {
  local folder=$home/sqs number
  number=$(port sqs main)
  cat >"$folder/elasticmq.conf" <<CONFIG
node-address { protocol = http, host = "127.0.0.1", port = $number, context-path = "" }
rest-sqs { enabled = true, bind-port = $number, bind-hostname = "127.0.0.1", sqs-limits = strict }
rest-stats { enabled = false, bind-port = 0, bind-hostname = "127.0.0.1" }
generate-node-address = false
queues { }
queues-storage { enabled = false, path = "$folder/data/queues.conf" }
messages-storage {
  enabled = true
  driver-class-name = "org.h2.Driver"
  uri = "jdbc:h2:$folder/data/messages"
  username = "", password = "", prune-data-on-init = false
}
aws { region = "us-east-1", accountId = "000000000000" }
$(extra_lines sqs)
CONFIG
  spawn sqs server java -Xms64m -Xmx384m -XX:+UseSerialGC "-Dconfig.file=$folder/elasticmq.conf" \
    -cp "$cache/elasticmq-$elasticmq_version/*" org.elasticmq.server.Main
}

# ListQueues is answered by 200.
sqs_probe() {
  local answer
  answer=$(converse "$(port sqs main)" 'GET /?Action=ListQueues HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n' 12)
  [[ $answer == 485454502f312e3?20323030 ]]
}
