"""Takes the page of a report apart."""

import base64
import html.parser
import re


class Parsed(html.parser.HTMLParser):
    """Text, images and references of a page."""

    def __init__(self, text):
        super().__init__()
        self.text, self.sources, self.links, self.tags, self.open = [], [], [], [], []
        self.feed(text)
        assert not self.open, self.open

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.append(tag)
        if tag not in ('img', 'meta', 'br', 'link', 'input'):
            self.open.append(tag)
        self.sources += [attributes['src']] if 'src' in attributes else []
        self.links += [attributes['href']] if 'href' in attributes else []

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    @property
    def words(self):
        return re.sub(r'\s+', ' ', ' '.join(self.text))


def decoded(source):
    kind, data = re.fullmatch(r'data:image/([a-z+]+);base64,(.*)', source).groups()
    return kind, base64.b64decode(data)
