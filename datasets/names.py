"""Names that people give to variables, functions and classes, by what these hold."""

from __future__ import annotations

_NAMES = {
    "int": "n a b c x y z k m p q u v w num val base cur level depth offset",
    "total": "total result res acc out ans score count cnt s value",
    "list": "xs ys nums items values lst arr data seq row numbers a queue buf history",
    "words": "words names parts tokens tags labels keys cities fruits lines",
    "text": "s text word line msg t string phrase label title",
    "dict": "d counts table freq index cache scores mapping lookup stock seen",
    "set": "seen unique found used visited marked known group",
    "char": "c ch char letter sym",
    "index": "i j k idx t r step",
    "item": "x v item num value el y w entry",
    "key": "key k name word w tag",
    "bound": "n limit steps rounds size times k stop",
    "float": "x y rate price temp weight mean ratio scale amount balance speed area",
    "flag": "ok found done flag valid matched changed",
    "error": "e err exc error",
    "function": "helper step apply update check score compute combine transform mix adjust convert shift fold"
    " merge clean build scale_up refine pack norm twist g h solve visit rank weigh probe",
    "maker": "make_adder make_counter make_step outer build make factory wrap create",
    "inner": "inner add bump nxt run call move go tick",
    "generator": "gen produce stream walk emit take_while pairs_of source evens numbers_of chunks feed",
    "object": "obj box acct item p q first second a b left right main_one other",
    "class": "Account Point Counter Box Node Robot Tank Player Item Wallet Meter Lamp Door Cart Sensor Timer",
    "attribute": "n x y total level size count value speed balance pos charge items_left score",
    "method": "add move update apply bump grow shift take change work",
    "flow": "state mode phase status node where",
}
NAMES = {role: tuple(names.split()) for role, names in _NAMES.items()}
"""At least six names for a role that programs may need several of."""
