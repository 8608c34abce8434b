"""A page of HTML as tests read it: its text, and whether every element is closed."""

from html.parser import HTMLParser


class Page(HTMLParser):
    """The text, and whether every element that must be closed is, in order."""

    OPTIONAL = ("tr", "td", "th", "meta", "img", "br", "path", "circle", "use", "dt", "dd", "p", "html", "head", "body")

    def __init__(self, html):
        super().__init__()
        self.open, self.text = [], ""
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        if tag not in self.OPTIONAL:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        pass

    def handle_endtag(self, tag):
        if tag not in self.OPTIONAL:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
