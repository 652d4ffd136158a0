#!/usr/bin/env python3
"""libmseal.spdx.json against SPDX 2.3 and against the programs: sbom.py FILE NAME=PROGRAM...

Every element has what the standard asks for and a version, every relationship has two ends that are there, and what a
program loads, by its ELF header, the document says it links dynamically."""

import json
import re
import subprocess
import sys

LIBRARIES = {  # what the dynamic linker calls it
    "libc.so.6": "glibc", "ld-linux": "glibc", "libgcc_s.so.1": "libgcc", "libstdc++.so.6": "libstdc++",
    "libdw.so.1": "elfutils", "libelf.so.1": "elfutils",
}

document = json.load(open(sys.argv[1]))
problems = []
for key in ("spdxVersion", "dataLicense", "SPDXID", "name", "documentNamespace", "creationInfo"):
    if not document.get(key):
        problems.append(f"no {key}")
if document.get("spdxVersion") != "SPDX-2.3" or document.get("dataLicense") != "CC0-1.0":
    problems.append("is not SPDX 2.3 under CC0-1.0")
if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", document["creationInfo"].get("created", "")):
    problems.append("no date")
known = {document["SPDXID"]}
for element in document["packages"]:
    name = element["name"]
    known.add(element["SPDXID"])
    for key in ("downloadLocation", "licenseConcluded", "licenseDeclared", "copyrightText"):
        if not element.get(key):
            problems.append(f"{name} has no {key}")
    if not re.fullmatch(r"\d+(\.\d+)+", element.get("versionInfo", "")):
        problems.append(f"{name} has no version: {element.get('versionInfo')}")
if len(known) != len(document["packages"]) + 1:
    problems.append("two elements have one name")
linked = {}
for relationship in document["relationships"]:
    ends = relationship["spdxElementId"], relationship["relatedSpdxElement"]
    problems += [f"{end} is in a relationship, and not there" for end in ends if end not in known]
    if relationship["relationshipType"] == "DYNAMIC_LINK":
        linked.setdefault(ends[0], set()).add(ends[1])
for argument in sys.argv[2:]:
    name, _, program = argument.partition("=")
    header = subprocess.run(["readelf", "-dW", program], stdout=subprocess.PIPE, text=True, check=True).stdout
    loaded = set()
    for library in re.findall(r"\(NEEDED\).*\[(.*)\]", header):
        known_as = next((value for key, value in LIBRARIES.items() if library.startswith(key)), library)
        loaded.add(f"SPDXRef-{known_as}")
    if loaded != linked.get(f"SPDXRef-{name}", set()):
        problems.append(f"{name} loads {sorted(loaded)}; the document has {sorted(linked.get(f'SPDXRef-{name}', []))}")
print("\n".join(problems))
sys.exit(1 if problems else 0)
