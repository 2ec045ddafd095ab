#!/usr/bin/env bash
# Gets Flink and Beam's job server from Maven Central, without Docker: Flink's jars and one jar of the job server.
#   get_packages.sh DIRECTORY        then DIRECTORY/flink/*.jar, DIRECTORY/job-server.jar (230 MB; 3 min, later 1 s)
# Needs Java 11 or 17 and Maven. Where the matching official jar can be had (beam-runners-flink-1.19-job-server), use that.
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
TO=${1:?usage: get_packages.sh DIRECTORY}
for program in java mvn; do
  command -v "$program" > /dev/null || { echo "get_packages.sh: there is no $program in PATH" >&2; exit 2; }
done
mkdir -p "$TO"
TO=$(cd "$TO" && pwd)
STAMP=$(cat "$HERE"/packages/*.xml | sha256sum | cut -c1-16)
exec 9> "$TO/.lock"
flock 9  # two at once: the second finds what the first has got
[ "$(cat "$TO/.stamp" 2> /dev/null)" = "$STAMP" ] && exit 0
BUILD=$(mktemp -d "$TO/.build.XXXXXX")
trap 'rm -rf "$BUILD"' EXIT
mkdir "$BUILD/flink" "$BUILD/job-server"
cp "$HERE/packages/flink.pom.xml" "$BUILD/flink/pom.xml"
cp "$HERE/packages/job-server.pom.xml" "$BUILD/job-server/pom.xml"
(cd "$BUILD/flink" && mvn -q -B dependency:copy-dependencies -DoutputDirectory="$BUILD/jars")
(cd "$BUILD/job-server" && mvn -q -B package)
rm -rf "$TO/flink"
mv "$BUILD/jars" "$TO/flink"
mv "$BUILD/job-server/target/job-server.jar" "$TO/job-server.jar"
echo "$STAMP" > "$TO/.stamp"
