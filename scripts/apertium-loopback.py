#!/usr/bin/python3
"""Serves Debian's Apertium (APy) on a free port of 127.0.0.1, and writes that port to a file once it listens.

APy itself has no option for the address and listens on every interface. A port that the file already holds is taken
again, so that a server can come back where it was.

usage: apertium-loopback.py PORT_FILE [OPTION OF APY]...
"""

import ctypes
import os
import signal
import sys

MODES = '/usr/share/apertium/modes'


def die_with_parent():
    """Asks Linux to end this process when the script that started it is gone, however it went (prctl(2))."""
    set_parent_death_signal = 1
    ctypes.CDLL(None, use_errno=True).prctl(set_parent_death_signal, signal.SIGTERM, 0, 0, 0)


def write_whole(path, text):
    """Writes aside and renames, so that whoever polls the file never reads half a port."""
    aside = path + '.new'
    with open(aside, 'w') as file:
        file.write(text)
    os.replace(aside, path)


def earlier_port(port_file):
    try:
        with open(port_file) as file:
            return int(file.read())
    except (OSError, ValueError):
        return 0


def listen_on_loopback(port_file):
    """Makes every server of this process listen on 127.0.0.1, on the file's port or one that the system chooses."""
    from tornado.httpserver import HTTPServer
    from tornado.netutil import bind_sockets

    def bind(self, _port, *_arguments, **_options):
        sockets = bind_sockets(earlier_port(port_file), address='127.0.0.1')
        self.add_sockets(sockets)
        write_whole(port_file, '%d\n' % sockets[0].getsockname()[1])

    HTTPServer.bind = bind


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    port_file, options = sys.argv[1], sys.argv[2:]
    die_with_parent()
    os.environ['LC_ALL'] = 'C.UTF-8'
    listen_on_loopback(port_file)
    # APy reads sys.argv as soon as it is imported.
    sys.argv = ['apertium-apy', MODES, *options]
    from apertium_apy.apy import main as serve
    serve()


if __name__ == '__main__':
    main()
