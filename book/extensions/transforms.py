"""What happens to every page between its reading and its writing: code is folded, empty sections
go.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from docutils import nodes
from sphinx.transforms import SphinxTransform

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ABSENT = "absent"
WITHHELD = "withheld"
SHOWN_TAG = "show-input"


class FoldCode(SphinxTransform):
    """Fold the code of every cell away, unless the cell is tagged ``show-input`` or hides more by
    its tags.
    """

    default_priority = 850

    def apply(self, **_: object) -> None:
        for cell in self.document.findall(nodes.container):
            if cell.get("nb_element") != "cell_code" or cell.get("hide_mode"):
                continue
            if SHOWN_TAG not in cell["cell_metadata"].get("tags", []):
                cell["hide_mode"] = "input"
                cell["prompt_show"] = self.config.nb_code_prompt_show
                cell["prompt_hide"] = self.config.nb_code_prompt_hide


class RemoveEmptySections(SphinxTransform):
    """Let a page about what the cohort has no data for say so once, not in every section.

    A chapter's cell that lacks its columns returns one sentence of class ``absent``. Sections that
    hold such a sentence and no other output are removed; the first sentence of the page stays,
    where it was. Where it says that something is hidden, it names the sections that went.
    """

    default_priority = 860  # after MyST has placed the outputs, before the page is stored

    def apply(self, **_: object) -> None:
        sentences = [node for node in self.document.findall(nodes.container) if is_absent(node)]
        if not sentences:
            return
        first, *others = sentences
        removed = [
            section for section in list(self.document.findall(nodes.section)) if is_empty(section)
        ]
        if WITHHELD in first["classes"]:
            first += named(removed)
        outermost = next((section for section in removed if section in ancestors(first)), None)
        if outermost is not None:
            outermost.parent.insert(outermost.parent.index(outermost), first.deepcopy())
        for section in removed:
            if section.parent is not None:
                section.parent.remove(section)
        for sentence in others:
            remove_output(sentence)


def named(removed: list[nodes.section]) -> list[nodes.paragraph]:
    """A sentence with the titles of the removed sections, where there are any."""
    titles = [
        section.next_node(nodes.title).astext()
        for section in removed
        if section.parent not in removed
    ]
    if not titles:
        return []
    return [nodes.paragraph("", f"Sections left out: {'; '.join(titles)}.")]


def is_absent(node: nodes.Node) -> bool:
    """Whether a node is the sentence that stands for missing data."""
    return isinstance(node, nodes.Element) and ABSENT in node.get("classes", [])


def is_empty(section: nodes.section) -> bool:
    """Whether a section holds an absent sentence and no other output of code, and is not the whole
    page.
    """
    if isinstance(section.parent, nodes.document):
        return False
    outputs = [node for node in section.findall(nodes.container) if is_output(node)]
    return bool(outputs) and all(any(map(is_absent, output.findall())) for output in outputs)


def is_output(node: nodes.container) -> bool:
    """Whether a node holds the outputs of one cell, and there are any."""
    return node.get("nb_element") == "cell_code_output" and bool(node.children)


def ancestors(node: nodes.Node) -> Iterator[nodes.Node]:
    """The nodes around a node, from the inside out."""
    while node.parent is not None:
        node = node.parent
        yield node


def remove_output(sentence: nodes.Node) -> None:
    """Remove a sentence together with the containers that held nothing else."""
    node = sentence
    while node.parent is not None and len(node.parent.children) == 1:
        node = node.parent
    if node.parent is not None:
        node.parent.remove(node)


def setup(app: "Sphinx") -> None:
    """Register the transforms."""
    app.add_transform(FoldCode)
    app.add_transform(RemoveEmptySections)
