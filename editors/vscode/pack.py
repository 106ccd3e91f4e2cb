"""Make the VS Code extension: a zip of this folder with the two files that its format wants.

python editors/vscode/pack.py dist/cwm-trace.vsix
"""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path
from xml.sax.saxutils import quoteattr

HERE = Path(__file__).parent
FILES = ("package.json", "extension.js", "README.md")
CONTENT_TYPES = """<?xml version="1.0" encoding="utf-8"?>
<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">
  <Default Extension=".json" ContentType="application/json"/>
  <Default Extension=".js" ContentType="application/javascript"/>
  <Default Extension=".md" ContentType="text/markdown"/>
  <Default Extension=".vsixmanifest" ContentType="text/xml"/>
</Types>
"""


def manifest() -> str:
    """What `extension.vsixmanifest` says of package.json."""
    package = json.loads((HERE / "package.json").read_text("utf-8"))
    name, version, publisher, engine, display, description = map(
        quoteattr,
        (
            package["name"],
            package["version"],
            package["publisher"],
            package["engines"]["vscode"],
            package["displayName"],
            package["description"],
        ),
    )
    return f"""<?xml version="1.0" encoding="utf-8"?>
<PackageManifest Version="2.0.0" xmlns="http://schemas.microsoft.com/developer/vsx-schema/2011">
  <Metadata>
    <Identity Language="en-US" Id={name} Version={version} Publisher={publisher}/>
    <DisplayName>{display[1:-1]}</DisplayName>
    <Description xml:space="preserve">{description[1:-1]}</Description>
    <Categories>{",".join(package["categories"])}</Categories>
    <Properties>
      <Property Id="Microsoft.VisualStudio.Code.Engine" Value={engine}/>
    </Properties>
  </Metadata>
  <Installation>
    <InstallationTarget Id="Microsoft.VisualStudio.Code"/>
  </Installation>
  <Dependencies/>
  <Assets>
    <Asset Type="Microsoft.VisualStudio.Code.Manifest" Path="extension/package.json" Addressable="true"/>
    <Asset Type="Microsoft.VisualStudio.Services.Content.Details" Addressable="true"
           Path="extension/README.md"/>
  </Assets>
</PackageManifest>
"""


def pack(path: Path) -> None:
    """Write the extension to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("extension.vsixmanifest", manifest())
        archive.writestr("[Content_Types].xml", CONTENT_TYPES)
        for name in FILES:
            archive.writestr(f"extension/{name}", (HERE / name).read_bytes())


if __name__ == "__main__":
    pack(Path(sys.argv[1]))
    print(f"{sys.argv[1]}: install it with code --install-extension {sys.argv[1]}")
