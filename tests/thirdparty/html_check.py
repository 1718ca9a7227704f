"""Reads the pages of a set of the format `html` with html.parser, as a stranger would, and says what is wrong.

    html_check.py FOLDER

FOLDER is the `data` of a set. Prints one line of JSON: pages, records (those that have a row of their own), the
text of all pages, problems."""

import html.parser
import json
import pathlib
import sys
import urllib.parse

VOID = {"meta", "br", "img", "hr", "wbr"}
REFUSED = {"script", "iframe", "object", "embed", "form", "base", "link", "svg", "math", "audio", "video", "input", "button"}
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'"


class Page(html.parser.HTMLParser):
    def __init__(self, path):
        super().__init__(convert_charrefs=True)
        self.path, self.open, self.problems = path, [], []
        self.text, self.ids, self.links, self.policy = [], [], [], None
        self.rel = {}
        self.gone, self.pictures, self.slips, self.answers = [], [], [], []

    def wrong(self, what):
        self.problems.append(f"{self.path}: {what}")

    def handle_starttag(self, tag, attrs):
        named = dict(attrs)
        if len(named) != len(attrs):
            self.wrong(f"an attribute twice on {tag}")
        if tag in REFUSED:
            self.wrong(f"an element {tag}")
        for name, value in attrs:
            if name.startswith("on") or name in ("style", "srcset", "srcdoc", "formaction"):
                self.wrong(f"an attribute {name}")
            if name == "src" or (name == "href" and tag != "a"):
                if urllib.parse.urlsplit(value).scheme or value.startswith("//"):
                    self.wrong(f"loads {value}")
            if name in ("src", "href"):
                self.links.append((tag, value))
        if tag == "meta" and named.get("http-equiv") == "Content-Security-Policy":
            self.policy = named.get("content")
        if tag == "meta" and named.get("http-equiv", "").lower() == "refresh":
            self.wrong("leads elsewhere by itself")
        if tag == "a" and named.get("href", "").startswith("#m"):
            self.answers.append(named["href"])
        if "id" in named:
            self.ids.append(named["id"])
        if "rel" in named and tag == "a":
            self.rel[named["rel"]] = named["href"]
        if tag == "img":
            self.pictures.append(named["src"])
            if not named.get("alt"):
                self.wrong("a picture without words")
        if tag not in VOID:
            self.open.append((tag, named.get("class", "")))

    def handle_endtag(self, tag):
        if not self.open or self.open[-1][0] != tag:
            self.wrong(f"</{tag}> where {self.open[-1:]} is open")
        else:
            self.open.pop()

    def handle_data(self, data):
        if self.open and self.open[-1][0] == "style":
            for word in ("@import", "url(", "</", "expression"):
                if word in data:
                    self.wrong(f"its style sheet says {word}")
            return
        classes = " ".join(name for _, name in self.open).split()
        if "gone-text" in classes:
            self.gone.append(data)
        if "slip" in classes:
            self.slips.append(data)
        self.text.append(data)

    def handle_decl(self, decl):
        if decl != "DOCTYPE html":
            self.wrong(f"a declaration {decl}")

    def handle_comment(self, data):
        self.wrong("a comment")


def main(folder):
    problems, records, text, gone, slips, answers, pictures, pages = [], [], [], [], [], [], 0, {}
    for path in sorted(folder.rglob("*.html")):
        if "files" == path.relative_to(folder).parts[0]:
            continue
        page = Page(path.relative_to(folder).as_posix())
        source = path.read_bytes().decode("utf-8")
        page.feed(source)
        page.close()
        if page.open:
            page.wrong(f"left open: {page.open}")
        if page.policy != POLICY:
            page.wrong(f"its policy is {page.policy}")
        if len(set(page.ids)) != len(page.ids):
            page.wrong("an id twice")
        bad = [c for c in source if (ord(c) < 32 and c not in "\n\t") or 0x7F <= ord(c) < 0xA0 or c in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"]
        if bad:
            page.wrong(f"characters that are not seen: {sorted(set(bad))}")
        pages[page.path] = page
        text.append("".join(page.text))
        gone.extend(page.gone)
        slips.extend(page.slips)
        answers.extend(page.answers)
        pictures += len(page.pictures)
        records.extend(int(name[1:]) for name in page.ids if name[0] == "r" and name[1:].isdigit())
    for name, page in pages.items():
        for tag, href in page.links:
            parts = urllib.parse.urlsplit(href)
            if parts.scheme:
                if parts.scheme not in ("http", "https") or tag != "a":
                    page.wrong(f"leads to {href}")
                continue
            target = (folder / name).parent / urllib.parse.unquote(parts.path) if parts.path else folder / name
            if not target.resolve().is_relative_to(folder.resolve()) or not target.is_file():
                page.wrong(f"leads to {href}, which is not there")
            elif parts.fragment and parts.fragment not in pages[target.resolve().relative_to(folder.resolve()).as_posix()].ids:
                page.wrong(f"leads to {href}, and there is no such place")
        # Who comes after me says that I come before.
        if "next" in page.rel:
            other = (pathlib.PurePosixPath(name).parent / urllib.parse.unquote(page.rel["next"])).as_posix()
            back = urllib.parse.unquote(pages[other].rel.get("prev", ""))
            if (pathlib.PurePosixPath(other).parent / back).as_posix() != name:
                page.wrong(f"{other} comes after it and does not say so")
        problems.extend(page.problems)
    linked = {urllib.parse.unquote(href) for tag, href in pages["index.html"].links}
    problems.extend(f"{name} is not in the index" for name in pages if name != "index.html" and name not in linked)
    print(json.dumps({"pages": len(pages), "records": records, "text": "\n".join(text), "gone": "\n".join(gone),
                      "slips": slips, "answers": answers, "pictures": pictures, "problems": problems}))


main(pathlib.Path(sys.argv[1]))
