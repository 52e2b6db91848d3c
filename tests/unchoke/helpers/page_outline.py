"""What a screen reader is given of a page."""

from html.parser import HTMLParser

VOID = {"meta", "link", "img", "br", "input"}


class Outline(HTMLParser):
    """What a screen reader is given."""

    def __init__(self, text):
        super().__init__()
        self.headings, self.images, self.cells, self.landmarks, self.open = [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag in {"h1", "h2", "h3", "h4"}:
            self.headings.append(int(tag[1]))
        if tag == "img":
            self.images.append(attrs)
        if tag == "th":
            self.cells.append(attrs)
        if tag in {"header", "main", "nav", "footer"}:
            self.landmarks.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
