"""Cells as graphs: what spaces say of them, and the picture."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from example_contents import HOSTILE, example_contents

from palmette.architecture import Architecture
from palmette.decision import Categorical, Subset
from palmette.decision import Node as Described
from palmette.decisions import Decisions
from palmette.graphs import SKIP, Graph, Node, Read
from palmette.report.contents import read_contents
from palmette.report.graph_drawing import draw_graph, draw_graphs
from palmette.report.graphs import from_nodes, graphs
from palmette.report.page import render
from palmette.spaces.darts import darts_small
from palmette.spaces.darts_genotypes import GENOTYPES
from palmette.spaces.enas_macro import enas_macro
from palmette.spaces.enas_micro import enas_micro
from palmette.spaces.enas_released import PUBLISHED as RELEASED
from palmette.spaces.recurrent_cell import CellSpace, darts_cells, enas_cells
from palmette.spaces.recurrent_published import PUBLISHED as RECURRENT

SVG = "{http://www.w3.org/2000/svg}"
GRAPH = Graph(
    "cell",
    ("in",),
    (Node("a", (Read("in", "conv"), Read("in", "pool"))), Node("b", (Read("a", "conv"), Read("in", "pool")))),
    ("b",),
    ("conv", "pool"),
)


def places(drawing: str) -> dict[str, tuple[float, float]]:
    """Return where each card is."""
    found = {}
    for group in ElementTree.fromstring(drawing).iter(f"{SVG}g"):
        x, y = group.get("transform", "")[len("translate(") : -1].split()
        found[next(group.iter(f"{SVG}text")).text or ""] = (float(x), float(y))
    return found


def test_every_node_stands_right_of_what_it_reads() -> None:
    x = {name: place[0] for name, place in places(draw_graph(GRAPH)).items()}
    assert x["in"] < x["a"] < x["b"] < x["output"]


def test_every_input_of_a_node_is_one_curve_and_so_is_every_part_of_the_output() -> None:
    curves = [
        path for path in ElementTree.fromstring(draw_graph(GRAPH)).iter(f"{SVG}path") if path.get("class") == "edge"
    ]
    assert len(curves) == 2 + 2 + 1
    colours = [path.get("stroke") for path in curves]
    assert colours[0] == colours[2] != colours[1] == colours[3]  # conv, pool, conv, pool
    assert colours[4] not in colours[:4]


def test_a_curve_over_a_column_keeps_clear_of_the_cards_there() -> None:
    drawing = ElementTree.fromstring(draw_graph(GRAPH))
    curve = [path.get("d", "") for path in drawing.iter(f"{SVG}path")][3]  # from the input past node a to node b
    lane = float(curve.split("C")[1].split()[-1].split("m")[0])
    (_, top) = places(draw_graph(GRAPH))["a"]
    card = next(g for g in drawing.iter(f"{SVG}g") if next(g.iter(f"{SVG}text")).text == "a")
    height = float(next(card.iter(f"{SVG}rect")).get("height", ""))
    assert not top < lane < top + height


def test_names_from_data_cannot_become_markup() -> None:
    graph = Graph(HOSTILE, (HOSTILE,), (Node("a", (Read(HOSTILE, HOSTILE),)),), ("a",), (HOSTILE,))
    drawing = draw_graphs([graph, graph])
    assert "<script" not in drawing
    ElementTree.fromstring(drawing.encode())


def test_cells_below_each_other_have_the_height_of_all_and_their_names() -> None:
    one, both = (ElementTree.fromstring(draw_graphs([GRAPH] * count)) for count in (1, 2))
    assert float(both.get("height", "")) == 2 * float(one.get("height", ""))
    assert [text.text for text in both.findall(f"{SVG}text")] == ["cell", "cell"]


def test_the_cells_of_darts_are_read_off_their_slots() -> None:
    space = darts_small()
    normal, reduction = graphs(space, GENOTYPES["DARTS_V2"].architecture(space.decisions))
    assert (normal.name, reduction.name) == ("normal cell", "reduction cell")
    assert normal.nodes[3] == Node(
        "node 5", (Read("last cell but one", "skip_connect"), Read("node 2", "dil_conv_3x3"))
    )
    assert reduction.output == ("node 2", "node 3", "node 4", "node 5")


def test_nodes_of_decisions_make_graphs_of_inputs_operations_and_loose_ends() -> None:
    halves = [
        Categorical("in1", ("x", "y")),
        Categorical("op1", ("conv", "pool")),
        Categorical("in2", ("x", "y", "n1")),
        Categorical("op2", ("conv", "pool")),
    ]
    nodes = [Described("x"), Described("y"), Described("n1", ("in1", "op1")), Described("n2", ("in2", "op2"))]
    decisions = Decisions("micro", halves, nodes=nodes)
    values = {"in1": "x", "op1": "conv", "in2": "y", "op2": "pool"}
    expected = Graph(
        "network",
        ("x", "y"),
        (Node("n1", (Read("x", "conv"),)), Node("n2", (Read("y", "pool"),))),
        ("n1", "n2"),
        ("conv", "pool"),
    )
    assert from_nodes(decisions, decisions.architecture(values)) == [expected]


def test_layers_with_skip_connections_read_the_layer_before_and_what_they_skip_to() -> None:
    nodes = [Described("stem"), Described("one", ("op1",)), Described("two", ("op2", "skips2"))]
    options = ("conv", "pool")
    decisions = Decisions(
        "macro",
        [Categorical("op1", options), Categorical("op2", options), Subset("skips2", ("stem", "one"))],
        nodes=nodes,
    )
    (graph,) = from_nodes(decisions, decisions.architecture({"op1": "conv", "op2": "pool", "skips2": ("stem",)}))
    assert graph.nodes == (Node("one", (Read("stem", "conv"),)), Node("two", (Read("one", "pool"), Read("stem", SKIP))))
    assert graph.output == ("two",)


def test_graphs_are_told_apart_by_their_names_and_a_first_node_of_decisions_reads_an_input() -> None:
    options = ("conv", "pool")
    nodes = [Described("a", ("op1",), "first cell"), Described("b", ("op2",), "second cell")]
    decisions = Decisions("two", [Categorical("op1", options), Categorical("op2", options)], nodes=nodes)
    first, second = from_nodes(decisions, decisions.architecture({"op1": "pool", "op2": "conv"}))
    assert (first.name, second.name) == ("first cell", "second cell")
    assert first.nodes == (Node("a", (Read("input", "pool"),)),)
    assert second.inputs == ("input",)


@pytest.mark.parametrize("kind", ["enas", "darts"])
def test_recurrent_cells_are_drawn_with_what_the_first_node_applies_and_what_is_averaged(kind: str) -> None:
    """Node 0 relu; 1 reads 0, 2 reads 0: in ENAS's space 1 and 2 are read by nobody, in DARTS's all but 0 average."""
    cells = {"enas": enas_cells, "darts": darts_cells}[kind]
    space = cells(10, CellSpace(nodes=4, hidden=4))
    values = {"op1": "tanh", "input2": "0", "op2": "identity", "input3": "1", "op3": "sigmoid"}
    (graph,) = graphs(space, space.decisions.architecture(values | ({"op0": "relu"} if kind == "enas" else {})))
    first = "relu" if kind == "enas" else "tanh"
    assert graph.nodes[0] == Node("node 0", (Read("word, hidden state", first),))
    assert graph.nodes[3] == Node("node 3", (Read("node 1", "sigmoid"),))
    assert graph.output == (("node 2", "node 3") if kind == "enas" else ("node 1", "node 2", "node 3"))


def test_the_micro_space_has_two_named_cells_and_the_macro_space_one_network() -> None:
    for space, names in ((enas_micro(nodes=4), ["normal cell", "reduction cell"]), (enas_macro(layers=3), ["network"])):
        architecture = space.decisions.sample(np.random.default_rng(0))
        assert [graph.name for graph in graphs(space, architecture)] == names


def test_the_published_recurrent_cell_of_enas_is_drawn_with_its_six_loose_ends() -> None:
    (graph,) = RECURRENT["enas-recurrent-cell"].graphs()
    assert [node.reads[0].source for node in graph.nodes[9:]] == ["node 8"] * 3
    assert graph.output == tuple(f"node {i}" for i in (3, 4, 7, 9, 10, 11))


def test_the_released_networks_of_enas_are_drawn_as_their_scripts_say() -> None:
    (network,) = RELEASED["enas-macro-released"].graphs()
    assert network.nodes[5].reads == (
        Read("layer 5", "conv 5x5"),
        *(Read(source, SKIP) for source in ("stem", "layer 1", "layer 3")),
    )
    assert sum(read.operation == SKIP for node in network.nodes for read in node.reads) == 98
    normal, reduction = RELEASED["enas-micro-released"].graphs()
    assert normal.nodes[0].reads == (
        Read("cell before the last", "average pool"),
        Read("cell before the last", "separable 3x3"),
    )
    assert reduction.output == ("node 2", "node 4", "node 5", "node 6")


def test_where_skip_connections_are_many_they_are_told_in_words_without_curves() -> None:
    (network,) = RELEASED["enas-macro-released"].graphs()
    drawing = ElementTree.fromstring(draw_graph(network))
    assert len(list(drawing.iter(f"{SVG}path"))) == 24 + 1  # what each layer reads first, and the output
    shown = [text.text or "" for text in drawing.iter(f"{SVG}text")]
    assert sum(text.startswith("skip from ") for text in shown) == 98
    assert "skip from layer 18" in shown


def test_a_space_without_cells_has_no_graphs() -> None:
    decisions = Decisions("layers", [Categorical("a", ("x", "y"))])
    assert from_nodes(decisions, Architecture("layers", (("a", "x"),))) == []


def test_the_page_shows_cells_in_place_of_layers_and_they_are_read_back_as_written(tmp_path: Path) -> None:
    import dataclasses

    contents = dataclasses.replace(example_contents(trials_per_arm=5), layers=[], graphs=[GRAPH])
    (tmp_path / "report.json").write_text(json.dumps(dataclasses.asdict(contents)))
    again = read_contents(tmp_path / "report.json")
    assert list(again.graphs) == [GRAPH]
    assert draw_graph(GRAPH) in render(again)


@pytest.mark.parametrize("name", GENOTYPES)
def test_published_cells_are_drawn(name: str) -> None:
    space = darts_small()
    found = graphs(space, GENOTYPES[name].architecture(space.decisions))
    cards = [places(draw_graph(graph)) for graph in found]
    assert all(len(card) == 2 + 4 + 1 and len(set(card.values())) == 7 for card in cards)
