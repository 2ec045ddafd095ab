#!/usr/bin/env bash
# A Flink session cluster on this machine, from the jars of get_packages.sh: one JobManager and TaskManagers, a Java process
# each. Beam's ports of the TaskManagers listen on every interface: only behind a firewall, or in a network namespace.
#   FLINK_JARS=DIR RUN=DIR local_cluster.sh start [TASKMANAGERS [SLOTS]]     (2 and 2)
#   local_cluster.sh jobmanager | taskmanager NUMBER [SLOTS]                start one of them, or start it again
#   local_cluster.sh stop
# REST (8081) and RPC (6123) are ports. Secrets of the workers: BRONZE_WORKER_CATALOG_DSN and BRONZE_WORKER_PAS_ENDPOINT in the
# environment of the TaskManagers. The process ids are in RUN/*.pid, the logs in RUN/log.
set -euo pipefail
: "${FLINK_JARS:?the directory of Flink\'s jars}" "${RUN:?a directory for configuration, logs and process ids}"
HERE=$(cd "$(dirname "$0")" && pwd)
REST=${REST:-8081} RPC=${RPC:-6123}
OPENS=(--add-exports=java.base/sun.net.util=ALL-UNNAMED --add-exports=java.rmi/sun.rmi.registry=ALL-UNNAMED
  --add-exports=java.security.jgss/sun.security.krb5=ALL-UNNAMED)
for package in lang net io nio lang.reflect text time util util.concurrent util.concurrent.atomic util.concurrent.locks; do
  OPENS+=("--add-opens=java.base/java.$package=ALL-UNNAMED")
done
OPENS+=(--add-opens=java.base/sun.nio.ch=ALL-UNNAMED)

configure() {
  mkdir -p "$RUN"/{conf,log,tmp}
  sed -e "s#@DIRECTORY@#$RUN#g; s#@REST@#$REST#g; s#@RPC@#$RPC#g" "$HERE/config.yaml" > "$RUN/conf/config.yaml"
  cat > "$RUN/conf/log4j.properties" << 'P'
rootLogger.level = INFO
rootLogger.appenderRef.file.ref = File
appender.file.name = File
appender.file.type = File
appender.file.fileName = ${sys:log.file}
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d{HH:mm:ss,SSS} %-5p %c{2} - %m%n
P
}

run_java() { # NAME OPTIONS… CLASS ARGUMENTS…
  local name=$1
  shift
  TMPDIR="$RUN/tmp" nohup java "${OPENS[@]}" -Djava.io.tmpdir="$RUN/tmp" -Dlog.file="$RUN/log/$name.log" \
    -Dlog4j.configurationFile=file:"$RUN/conf/log4j.properties" -cp "$FLINK_JARS/*" "$@" \
    > "$RUN/log/$name.out" 2>&1 < /dev/null &
  echo $! > "$RUN/$name.pid"
}

jobmanager() {
  run_java jobmanager -Xmx512m org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint \
    --configDir "$RUN/conf" --host 127.0.0.1 --executionMode cluster
}

taskmanager() { # NUMBER [SLOTS]
  local slots=${2:-2}
  # Started without Flink's own scripts, it wants its memory spelled out.
  run_java "taskmanager-$1" -Xmx512m -Xms128m -XX:MaxDirectMemorySize=512m \
    org.apache.flink.runtime.taskexecutor.TaskManagerRunner --configDir "$RUN/conf" \
    -D taskmanager.numberOfTaskSlots="$slots" -D taskmanager.rpc.port=0 -D taskmanager.data.port=0 \
    -D taskmanager.resource-id="taskmanager-$1" -D taskmanager.cpu.cores="$slots" \
    -D taskmanager.memory.task.heap.size=384m -D taskmanager.memory.task.off-heap.size=0m \
    -D taskmanager.memory.managed.size=256m -D taskmanager.memory.network.min=64m -D taskmanager.memory.network.max=64m \
    -D taskmanager.memory.framework.heap.size=128m -D taskmanager.memory.framework.off-heap.size=128m \
    -D taskmanager.memory.jvm-metaspace.size=256m -D taskmanager.memory.jvm-overhead.min=192m \
    -D taskmanager.memory.jvm-overhead.max=192m -D taskmanager.memory.process.size=1408m
}

stop() {
  local file pid
  for file in "$RUN"/taskmanager-*.pid "$RUN"/jobmanager.pid; do
    [ -f "$file" ] || continue
    pid=$(cat "$file")
    kill "$pid" 2> /dev/null || true
    for _ in $(seq 80); do [ -d "/proc/$pid" ] || break; sleep 0.25; done
    rm -f "$file"
  done
}

case ${1:-} in
  start)
    configure
    jobmanager
    for number in $(seq "${2:-2}"); do taskmanager "$number" "${3:-2}"; done
    ;;
  jobmanager | taskmanager) "$@" ;;
  stop) stop ;;
  *) sed -n '2,9p' "$0" >&2; exit 2 ;;
esac
