#!/usr/bin/python3
"""Prints what stands in the outlets' JSON lines: how many per language, and a few, original → translation.

usage: show-outlets.py FEED FILE.jsonl...
"""

import html
import json
import re
import sys
import xml.etree.ElementTree as ElementTree

N_SHOWN = 3
WIDTH = 96


def one_line(text):
    """The text on one line, cut where it grows too long to compare."""
    text = ' '.join(text.split())
    return text if len(text) <= WIDTH else text[:WIDTH - 1].rstrip() + '…'


def without_markup(text):
    """What a reader sees: blocks stand apart, and links and emphasis leave no gap."""
    apart = re.sub(r'</?(p|br|ul|li|blockquote)\b[^>]*>', ' ', text)
    return html.unescape(re.sub(r'<[^>]+>', '', apart))


def originals(feed):
    """What the feed says, by the identity of each post."""
    return {
        item.findtext('guid'): without_markup(item.findtext('description') or '')
        for item in ElementTree.parse(feed).iter('item')
    }


def show(path, by_post):
    with open(path, encoding='utf-8') as file:
        posts = [json.loads(line) for line in file if line.strip()]
    language = posts[0]['language'] if posts else '?'
    print('\n%s: %d posts in %s' % (language, len(posts), path))
    for post in posts[:N_SHOWN]:
        print('    %s' % one_line(by_post.get(post['post'], post['post'])))
        print('  → %s' % one_line(post['text']))


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    by_post = originals(sys.argv[1])
    for path in sys.argv[2:]:
        show(path, by_post)


if __name__ == '__main__':
    main()
