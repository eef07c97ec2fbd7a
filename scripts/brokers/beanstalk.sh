# shellcheck shell=bash
# beanstalkd from the distribution's packages, with its log on disk.

beanstalk_program() { PATH=$PATH:/usr/bin:/usr/sbin command -v beanstalkd; }
beanstalk_ports() { echo main; }
beanstalk_processes() { echo server; }
beanstalk_address() { echo "tcp://127.0.0.1:$(port beanstalk main)"; }
beanstalk_installed() { beanstalk_program >/dev/null; }
beanstalk_install() { apt_install beanstalkd; }

beanstalk_launch() {
  # shellcheck disable=SC2086
  spawn beanstalk server "$(beanstalk_program)" -l 127.0.0.1 -p "$(port beanstalk main)" -b "$home/beanstalk/data" ${BROKERS_FLAGS:-}
}

# stats is answered by OK and the number of bytes.
beanstalk_probe() { [[ $(converse "$(port beanstalk main)" 'stats\r\n' 3) == 4f4b20 ]]; }
