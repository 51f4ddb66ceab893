#!/bin/sh
# Runs a start script of several processes and passes SIGTERM on to the app itself. The shells and package managers in
# between would end at once, and the app with them, or never pass the signal on. Exits with the script's status.
set -f
root=
told=' '
asked=

# Prints "pid parent state" for every process.
processes() {
  set +f
  for stat in /proc/[0-9]*/stat; do
    { read -r line <"$stat"; } 2>/dev/null || continue
    rest=${line##*) }
    parent=${rest#* }
    echo "${line%% *} ${parent%% *} ${rest%% *}"
  done
  set -f
}

# The name of the program that process $1 runs.
program() {
  set -- $(tr '\0' ' ' 2>/dev/null <"/proc/$1/cmdline")
  case ${1##*/} in node | nodejs) shift ;; esac
  echo "${1##*/}"
}

# Whether process $1 only reads what the app prints: it ends by itself, after the app's last words.
reads_others() { case $(program "$1") in cat | tee | pino-pretty | bunyan | sed | grep | ts) ;; *) return 1 ;; esac; }

# Whether process $1 only starts others.
starts_others() {
  case $(program "$1") in
    sh | dash | bash | npm* | npx* | pnpm* | pnpx* | yarn* | nest | nest.js | nodemon* | ts-node-dev | tsnd | run-p | run-s) return 0 ;;
    turbo | nx | lerna | concurrently* | wireit | env-cmd | dotenv | dotenvx | cross-env-shell*) return 0 ;;
  esac
  return 1
}

# Prints the processes below $1 that are the app: the first ones on each branch that don't just start others.
apps() {
  below=$(echo "$tree" | while read -r pid parent state; do [ "$parent" = "$1" ] && [ "$state" != Z ] && echo "$pid"; done)
  if [ -z "$below" ] || ! starts_others "$1"; then echo "$1"; return; fi
  for child in $below; do apps "$child"; done
}

running() { case $(echo "$tree" | while read -r pid parent state; do [ "$pid" = "$root" ] && echo "$state"; done) in '' | Z) return 1 ;; esac; }

stop() {
  trap '' TERM INT
  while tree=$(processes) && running; do
    for pid in $(apps "$root"); do
      reads_others "$pid" && continue
      case $told in *" $pid "*) ;; *) told="$told$pid "; kill -TERM "$pid" 2>/dev/null ;; esac
    done
    sleep 0.1
  done
}

trap 'asked=1; stop' TERM INT
sh -c "$1" &
root=$!
[ -z "$asked" ] || stop # it came before there was anything to pass it on to
wait "$root"
code=$?
# After a signal `wait` answers early: the script's own status comes from asking again.
if [ "$told" != ' ' ]; then wait "$root" 2>/dev/null; code=$?; fi
exit "$code"
