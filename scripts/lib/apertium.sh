# A real translator for the quickstart and for the tests: Debian's Apertium, served on loopback. To be sourced after
# common.sh, which sets `top`. English can be the source of these four languages in Debian: Spanish, Catalan, Galician, Esperanto.

# shellcheck disable=SC2034 # The scripts that source this file use it.
apertium_packages=(
  apertium apertium-apy python3-chardet python3-requests python3-streamparser
  apertium-eng-spa apertium-eng-cat apertium-en-gl apertium-eo-en
)
apertium_targets=(spa cat glg epo)
# The pairs of the sample feeds in twelve languages, which only the tests read.
apertium_test_packages=(
  apertium-spa-cat apertium-fr-es apertium-fra-cat apertium-es-pt apertium-spa-ita apertium-es-gl apertium-oc-es
  apertium-swe-dan apertium-dan-nor apertium-rus-ukr
)
apertium_pid=

# Starts the server, to be ended by `stop_apertium`, and sets apertium_url. Its log and its port file go to folder $1.
# It must be called in the script's own shell: the server ends with the process that started it.
start_apertium() {
  local folder=$1
  mkdir -p "$folder"
  rm -f "$folder/apertium.port"
  # Debian's own Python: another one has neither tornado nor APy.
  /usr/bin/python3 -I "$top/scripts/apertium-loopback.py" "$folder/apertium.port" \
    >"$folder/apertium.log" 2>&1 </dev/null &
  apertium_pid=$!
  if ! await_up "$apertium_pid" 300 test -s "$folder/apertium.port"; then
    tail -n 20 "$folder/apertium.log" >&2
    fail "Apertium did not start within 30 seconds (the end of its log stands above)"
  fi
  apertium_url=http://127.0.0.1:$(<"$folder/apertium.port")
  need_translations "$apertium_url"
}

# Fails unless the server at $1 really translates from English into each of the four languages.
need_translations() {
  local target answer
  for target in "${apertium_targets[@]}"; do
    answer=$(curl -sS --noproxy 127.0.0.1,localhost --max-time 30 "$1/translate" \
      --data-urlencode 'q=Good morning.' --data-urlencode "langpair=eng|$target" -d markUnknown=no -d format=txt) ||
      fail "no translator answers at $1"
    [[ $answer =~ \"translatedText\":\ *\"[^\"] ]] ||
      fail "the translator at $1 does not translate from English (eng) into $target: ${answer:0:200}"
  done
}

stop_apertium() {
  local tries
  [[ -n $apertium_pid ]] || return 0
  kill "$apertium_pid" 2>/dev/null || true
  for ((tries = 0; tries < 50; tries++)); do
    kill -0 "$apertium_pid" 2>/dev/null || break
    sleep 0.1
  done
  kill -KILL "$apertium_pid" 2>/dev/null || true
  wait "$apertium_pid" 2>/dev/null || true
  apertium_pid=
}
