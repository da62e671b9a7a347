"""HTML as a browser's parser meets it: balanced, and taken apart into elements."""

import shutil
import subprocess
from html.parser import HTMLParser

VOID = {"meta", "link", "br", "hr", "img", "input", "col"}


class Element:
    """A tag with its attributes, and all the text in it."""

    def __init__(self, tag, attributes):
        self.tag, self.attributes, self.text, self.within = tag, attributes, "", ()

    def __getitem__(self, name):
        return self.attributes[name]

    def get(self, name):
        """An attribute, or None."""
        return self.attributes.get(name)


class Page(HTMLParser):
    """A parsed document; a tag left open, closed twice or crossing another is an AssertionError."""

    def __init__(self, octets):
        super().__init__(convert_charrefs=True)
        self.source, self.elements, self.open = octets.decode("utf-8"), [], []
        self.feed(self.source)
        self.close()
        assert self.open == []

    def handle_decl(self, decl):
        """The document type: the one that there is."""
        assert decl == "DOCTYPE html" and not self.elements

    def handle_starttag(self, tag, attrs):
        """A new element, none of whose attributes is there twice."""
        assert len(dict(attrs)) == len(attrs)
        element = Element(tag, dict(attrs))
        element.within = tuple(one.tag for one in self.open)
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag):
        """The end of the innermost one."""
        assert self.open and self.open.pop().tag == tag

    def handle_data(self, data):
        """Text, for all that it stands in."""
        for element in self.open:
            element.text += data

    def handle_comment(self, data):
        """None of ours."""
        raise AssertionError(data)

    def handle_pi(self, data):
        """None of ours."""
        raise AssertionError(data)

    def all(self, tag, **attributes):
        """The elements of this tag with these attributes, as they come; kind= stands for class=."""
        wanted = {"class" if name == "kind" else name: value for name, value in attributes.items()}
        return [one for one in self.elements
                if one.tag == tag and all(one.get(name) == value for name, value in wanted.items())]

    def one(self, tag, **attributes):
        """The only one of these."""
        found, = self.all(tag, **attributes)
        return found


def parsed(octets):
    """The page, after what every page of ours must keep to."""
    page = Page(octets)
    assert octets.startswith(b"<!DOCTYPE html>\n<html lang=")
    assert page.one("meta", charset="utf-8") and "width=device-width" in page.one("meta", name="viewport")["content"]
    assert page.one("title").text and len(page.all("h1")) == 1 and len(page.all("main")) == 1
    assert not {one.tag for one in page.elements} & {"script", "link", "img", "iframe", "object", "form", "base"}
    for element in page.elements:
        assert not {name for name in element.attributes if name == "style" or name == "src" or name.startswith("on")}
    if tidy := shutil.which("tidy"):
        done = subprocess.run([tidy, "-q", "-e", "--show-warnings", "no"], input=octets, capture_output=True,
                              timeout=20)
        assert done.returncode < 2, done.stderr
    return page
