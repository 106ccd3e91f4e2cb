"""The VS Code extension: its package, and that it offers what the debugger understands."""

from __future__ import annotations

import json
import re
import runpy
import zipfile
from pathlib import Path
from xml.etree import ElementTree

from cwm_trace.debug.dap.requests import lifecycle

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "editors" / "vscode"


def test_the_package_is_whole(tmp_path: Path) -> None:
    runpy.run_path(str(FOLDER / "pack.py"))["pack"](tmp_path / "dist" / "x.vsix")
    with zipfile.ZipFile(tmp_path / "dist" / "x.vsix") as archive:
        names = set(archive.namelist())
        manifest = archive.read("extension.vsixmanifest")
        types = archive.read("[Content_Types].xml").decode()
    package = json.loads((FOLDER / "package.json").read_text("utf-8"))
    assert {"extension/package.json", f"extension/{package['main'].removeprefix('./')}"} <= names
    identity = ElementTree.fromstring(manifest).find(".//{*}Identity")
    assert identity is not None
    assert identity.get("Id") == package["name"]
    assert identity.get("Version") == package["version"]
    assert all(f'Extension="{Path(name).suffix}"' in types for name in names - {"[Content_Types].xml"})


def test_it_offers_the_arguments_that_launch_understands() -> None:
    package = json.loads((FOLDER / "package.json").read_text("utf-8"))
    (debugger,) = package["contributes"]["debuggers"]
    offered = debugger["configurationAttributes"]
    source = Path(lifecycle.__file__).read_text("utf-8")
    understood = set(re.findall(r'arguments\.(?:text|texts|flag|number|integer)\("(\w+)"', source))
    understood -= {"linesStartAt1", "supportsProgressReporting"}
    own = {"port", "token"}  # where the extension finds a server, and what that asks for
    assert set(offered["launch"]["properties"]) == understood | own
    assert set(offered["attach"]["properties"]) <= understood | own
    for snippet in debugger["configurationSnippets"]:
        body = snippet["body"]
        assert set(body) - {"type", "request", "name"} <= set(offered[body["request"]]["properties"])
