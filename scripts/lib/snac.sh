# snac2, a real server that speaks Mastodon's API, for the tests. To be sourced after common.sh.
#
# Debian 12 does not have it; the package of Debian 13 runs there when it is only unpacked. The machine's own lists of
# packages and its installed packages are left alone.

snac_release=trixie
snac_folder=${XDG_CACHE_HOME:-${HOME:-/var/tmp}/.cache}/babelfeed/snac2-$snac_release
# shellcheck disable=SC2034 # The scripts that source this file use it.
snac_packages=(libcurl4)

# Unpacks snac2 where that was not done before, sees it start, and sets snac_program. Its log goes to folder $1.
provide_snac() {
  snac_program=$snac_folder/root/usr/bin/snac
  if ! unpack_snac >"$1/snac.log" 2>&1 || ! try_snac "$1/snac" >>"$1/snac.log" 2>&1; then
    tail -n 20 "$1/snac.log" >&2
    fail "snac2 could not be unpacked or started (the end of its log stands above)"
  fi
}

unpack_snac() (
  mkdir -p "$(dirname "$snac_folder")"
  # Two scripts at once must not unpack into one folder.
  exec 9>"$snac_folder.lock"
  flock 9
  [[ -x $snac_program ]] && exit 0
  rm -rf "$snac_folder"
  mkdir -p "$snac_folder"/{lists,cache/archives,sources}/partial || exit
  mirror=$(debian_mirror)
  if [[ -z $mirror ]]; then
    echo "no mirror of Debian stands in the lists of packages of this machine"
    exit 1
  fi
  cat >"$snac_folder/sources/debian.sources" <<SOURCES
Types: deb
URIs: $mirror
Suites: $snac_release
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
SOURCES
  options=(
    -q -o Acquire::Retries=3 -o Acquire::Languages=none -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false
    -o "Dir::State::Lists=$snac_folder/lists" -o "Dir::Cache=$snac_folder/cache"
    -o Dir::Etc::SourceList=/dev/null -o "Dir::Etc::SourceParts=$snac_folder/sources"
    -o "APT::Sandbox::User=$(id -un)"
  )
  cd "$snac_folder" || exit
  apt-get "${options[@]}" update || exit
  apt-get "${options[@]}" download snac2 || exit
  dpkg -x snac2_*.deb unpacked || exit
  rm -rf lists cache sources
  # The last step: what has its place is whole.
  mv unpacked root
)

# The mirror from which this machine has its own packages.
debian_mirror() {
  local codename
  codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
  {
    cat /etc/apt/sources.list.d/*.sources 2>/dev/null |
      awk -v RS= -v release="$codename" '
        $0 ~ "(^|\n)Suites:[^\n]*[ \t]" release "([ \t\n]|$)" && match($0, /(^|\n)URIs:[ \t]*[^ \t\n]+/) {
          address = substr($0, RSTART, RLENGTH); sub(/.*URIs:[ \t]*/, "", address); print address
        }'
    cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null |
      awk -v release="$codename" '
        $1 == "deb" { sub(/\[[^]]*\]/, ""); if ($3 == release && $0 ~ / main( |$)/) print $2 }'
  } | grep -m 1 -E '/debian/?$' || true
}

# Starts it once on a free port, asks it something, and ends it again. Its files go to folder $1.
try_snac() {
  local port
  port=$(/usr/bin/python3 -I -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  rm -rf "$1"
  printf '127.0.0.1\n%s\n127.0.0.1:%s\n\n\n' "$port" "$port" | "$snac_program" init "$1" || return
  "$snac_program" httpd "$1" &
  try_server $! 100 snac_answers "$port"
}

snac_answers() {
  curl -sS --noproxy 127.0.0.1 --max-time 5 "http://127.0.0.1:$1/api/v1/instance" | grep -q snac
}
