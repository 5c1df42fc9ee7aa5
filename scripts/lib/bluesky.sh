# Bluesky's own PDS and its whole development network for the tests: installed once, with the Node.js they run on, into a
# folder of their own. To be sourced after common.sh.

bluesky_version=0.6.7
bluesky_pds_version=0.5.35
bluesky_folder=${XDG_CACHE_HOME:-${HOME:-/var/tmp}/.cache}/babelfeed/bluesky-$bluesky_version
# PostgreSQL is for the network's view.
# shellcheck disable=SC2034 # The scripts that source this file use it.
bluesky_packages=(npm g++ make python3 postgresql)
bluesky_pid=
bluesky_network_pid=

# Begins to install them beside whatever else is done; `await_bluesky` must follow. Its log goes to folder $1.
begin_bluesky() {
  bluesky_log=$1/bluesky.log
  (install_bluesky && try_bluesky "$1") >"$bluesky_log" 2>&1 </dev/null &
  bluesky_pid=$!
}

# Waits until they are installed and the PDS was seen to start.
await_bluesky() {
  local outcome=0
  wait "$bluesky_pid" || outcome=$?
  bluesky_pid=
  if ((outcome)); then
    tail -n 20 "$bluesky_log" >&2
    fail "Bluesky's network $bluesky_version could not be installed or started (the end of its log stands above)"
  fi
}

# Does nothing where it was done before: the last thing written is the mark that all went well.
install_bluesky() {
  local architecture
  case $(uname -m) in
    x86_64) architecture=x64 ;;
    aarch64) architecture=arm64 ;;
    *) echo "there is no Node.js on npm for $(uname -m)" && return 1 ;;
  esac
  mkdir -p "$(dirname "$bluesky_folder")"
  # Two scripts at once must not install into one folder.
  exec 8>"$bluesky_folder.lock"
  flock 8
  [[ -e $bluesky_folder/complete ]] && return
  rm -rf "$bluesky_folder"
  mkdir "$bluesky_folder"
  cat >"$bluesky_folder/package.json" <<END
{
  "private": true,
  "dependencies": {
    "@atproto/dev-env": "$bluesky_version",
    "@atproto/pds": "$bluesky_pds_version",
    "@did-plc/server": "0.0.1",
    "node-linux-$architecture": "22.23.3"
  },
  "allowScripts": { "better-sqlite3": true }
}
END
  # Of all the programs that packages would run when they are installed, only one is needed: it builds SQLite for this
  # Node.js, from the sources and headers that were installed.
  local node=$bluesky_folder/node_modules/node-linux-$architecture
  nice -n 10 npm --prefix "$bluesky_folder" install --ignore-scripts --no-audit --no-fund --no-update-notifier \
    --loglevel=error || return
  PATH=$node/bin:$PATH npm_config_nodedir=$node npm_config_build_from_source=true \
    nice -n 10 npm --prefix "$bluesky_folder" rebuild better-sqlite3 --no-update-notifier --loglevel=error || return
  mkdir "$bluesky_folder/bin"
  ln -s "$node/bin/node" "$bluesky_folder/bin/node"
  touch "$bluesky_folder/complete"
}

# Starts the PDS once and ends it again, so that a test need not be the first to find out that it cannot.
try_bluesky() {
  local port_file=$1/bluesky.port
  rm -f "$port_file"
  "$bluesky_folder/bin/node" "$top/scripts/bluesky-loopback.mjs" "$bluesky_folder" "$port_file" &
  try_server $! 600 test -s "$port_file"
}

# Starts the network, to be ended by `stop_bluesky`, and sets bluesky_network to the file that says where it is. Its log goes
# to folder $1. It must be called in the script's own shell: the network ends with the process that started it.
start_bluesky_network() {
  local postgresql
  bluesky_network=$1/bluesky-network
  rm -f "$bluesky_network"
  postgresql=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
  "$bluesky_folder/bin/node" "$top/scripts/bluesky-network-loopback.mjs" "$bluesky_folder" "$postgresql" \
    "$bluesky_network" >"$bluesky_network.log" 2>&1 </dev/null &
  bluesky_network_pid=$!
  await_up "$bluesky_network_pid" 1200 test -s "$bluesky_network" && return
  tail -n 20 "$bluesky_network.log" >&2
  fail "Bluesky's network did not start within two minutes (the end of its log stands above)"
}

stop_bluesky() {
  local pid
  for pid in $bluesky_pid $bluesky_network_pid; do
    kill "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  bluesky_pid=
  bluesky_network_pid=
}
