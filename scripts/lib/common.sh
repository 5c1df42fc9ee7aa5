# What every script here shares: saying, failing, and getting what is missing from Debian. To be sourced.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

# Debian's own folders for programs, and where rustup puts cargo, are not in every user's PATH.
PATH=$PATH:/usr/sbin:/sbin${HOME:+:$HOME/.cargo/bin}

say() { printf '\n== %s\n' "$*"; }

fail() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

as_root() {
  if [[ $EUID -eq 0 ]]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    fail "this needs root or sudo: $*"
  fi
}

# Waits until a server is up: until a command, the rest of the words, succeeds, but at most $2 tenths of a second and only
# while process $1 runs.
await_up() {
  local pid=$1 tries=$2
  shift 2
  for (( ; tries > 0; tries--)); do
    "$@" && return
    kill -0 "$pid" 2>/dev/null || return
    sleep 0.1
  done
  return 1
}

# The same, and ends the server either way.
try_server() {
  local outcome=0
  await_up "$@" || outcome=$?
  kill "$1" 2>/dev/null || true
  wait "$1" 2>/dev/null || true
  return "$outcome"
}

# True when a Debian package is installed, or its program stands there by another way.
have_package() {
  case $1 in
    gcc) command -v cc >/dev/null ;;
    curl | g++ | make | nginx | npm) command -v "$1" >/dev/null ;;
    libc6-dev) [[ -e /usr/include/stdio.h ]] ;;
    postgresql) compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null ;;
    *) [[ $(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null) == installed ]] ;;
  esac
}

# Installs those of the named Debian packages that are missing; says what is needed where there is no apt.
need_packages() {
  local package missing=()
  for package in "$@"; do
    have_package "$package" || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  command -v apt-get >/dev/null ||
    fail "apt-get is not here (this script knows Debian 12 and its relatives); please install: ${missing[*]}"
  say "Installing from Debian: ${missing[*]}"
  install_packages "${missing[@]}" || fail "apt-get could not install: ${missing[*]}"
}

# Some of these packages bring a daemon that would listen on every interface. Debian starts it at once, and at each
# boot; policy-rc.d is its documented way to say no to the first, and disabling the unit says no to the second.
install_packages() {
  # shellcheck disable=SC2016 # The inner shell expands these.
  as_root env DEBIAN_FRONTEND=noninteractive sh -c '
    set -eu
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
      trap '\''rm -f "$policy"'\'' EXIT
      trap "exit 1" HUP INT TERM
      printf "#!/bin/sh\nexit 101\n" > "$policy"
      chmod 755 "$policy"
    fi
    options="-q -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0"
    apt-get $options update || echo "apt-get update failed; going on with the lists that are here" >&2
    apt-get $options install -y --no-install-recommends "$@"
    if [ -d /run/systemd/system ]; then
      for package in "$@"; do
        case "$package" in
          apertium-apy | nginx | postgresql) systemctl disable --quiet "$package.service" || true ;;
        esac
      done
    fi
  ' sh "$@" </dev/null
}

need_cargo() {
  command -v cargo >/dev/null ||
    fail "cargo is not here; please install Rust $(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$top/Cargo.toml") or newer with rustup"
}
