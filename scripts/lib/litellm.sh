# The LiteLLM proxy for the tests: installed once, into a virtual environment of its own. To be sourced after common.sh.

litellm_version=1.106.2
litellm_folder=${XDG_CACHE_HOME:-${HOME:-/var/tmp}/.cache}/babelfeed/litellm-$litellm_version
# shellcheck disable=SC2034 # The scripts that source this file use it.
litellm_packages=(python3 python3-venv)
litellm_pid=

# Begins to install LiteLLM beside whatever else is done; `await_litellm` must follow. Its log goes to folder $1.
begin_litellm() {
  litellm_log=$1/litellm.log
  (install_litellm && try_litellm "$1") >"$litellm_log" 2>&1 </dev/null &
  litellm_pid=$!
}

# Waits until LiteLLM is installed and was seen to start, and sets litellm_python to the Python that has it.
await_litellm() {
  local outcome=0
  wait "$litellm_pid" || outcome=$?
  litellm_pid=
  if ((outcome)); then
    tail -n 20 "$litellm_log" >&2
    fail "LiteLLM $litellm_version could not be installed or started (the end of its log stands above)"
  fi
  # shellcheck disable=SC2034 # The scripts that source this file use it.
  litellm_python=$litellm_folder/bin/python
}

# Does nothing where it was done before: the last thing written is the mark that all went well.
install_litellm() {
  mkdir -p "$(dirname "$litellm_folder")"
  # Two scripts at once must not install into one folder.
  exec 9>"$litellm_folder.lock"
  flock 9
  [[ -e $litellm_folder/complete ]] && return
  rm -rf "$litellm_folder"
  /usr/bin/python3 -m venv "$litellm_folder" || return
  nice -n 10 "$litellm_folder/bin/pip" install --quiet --disable-pip-version-check --no-input \
    "litellm[proxy]==$litellm_version" || return
  touch "$litellm_folder/complete"
}

# Starts it once and ends it again: also the first start compiles much, which no test should wait for.
try_litellm() {
  local port_file=$1/litellm.port
  rm -f "$port_file"
  "$litellm_folder/bin/python" "$top/scripts/litellm-loopback.py" "$port_file" &
  try_server $! 1200 test -s "$port_file"
}

stop_litellm() {
  [[ -n $litellm_pid ]] || return 0
  kill "$litellm_pid" 2>/dev/null || true
  wait "$litellm_pid" 2>/dev/null || true
  litellm_pid=
}
