"""Text and numbers as LaTeX sets them, by whatever engine: pdfLaTeX with its own fonts lacks most of Unicode."""

from __future__ import annotations

import re
import unicodedata

from gvlab.compare.remarks import folded

_NAMED = {
    **{letter: rf"\{letter}" for letter in "_%&#{}"},
    "$": r"$\$$",  # in text it would be of a font that small installations have as a bitmap
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "\u00b1": r"$\pm$",
    "\u00d7": r"$\times$",
    "\u00b7": r"$\cdot$",
    "\u2192": r"$\rightarrow$",
    "\u2190": r"$\leftarrow$",
    "\u2191": r"$\uparrow$",
    "\u2193": r"$\downarrow$",
    "\u2264": r"$\leq$",
    "\u2265": r"$\geq$",
    "\u221e": r"$\infty$",
    "\u2212": "$-$",
    "\u2013": "--",
    "\u2014": "---",
    "\u2026": r"\ldots{}",
    "\u2019": "'",
    "\u00df": r"\ss{}",
    "\u00e6": r"\ae{}",
    "\u00c6": r"\AE{}",
    "\u00f8": r"\o{}",
    "\u00d8": r"\O{}",
    "\u0142": r"\l{}",
    "\u0141": r"\L{}",
    "\u03c2": r"$\varsigma$",
}
_ACCENTS = {
    "\u0300": "`",
    "\u0301": "'",
    "\u0302": "^",
    "\u0303": "~",
    "\u0304": "=",
    "\u0306": "u",
    "\u0307": ".",
    "\u0308": '"',
    "\u030a": "r",
    "\u030b": "H",
    "\u030c": "v",
    "\u0327": "c",
}
_LIKE_LATIN = {"ALPHA": "A", "BETA": "B", "EPSILON": "E", "ZETA": "Z", "ETA": "H", "IOTA": "I", "KAPPA": "K", "MU": "M"}
_LIKE_LATIN |= {"NU": "N", "OMICRON": "O", "RHO": "P", "TAU": "T", "CHI": "X"}
_GREEK = re.compile(r"GREEK (SMALL|CAPITAL) LETTER (\w+)")


def escaped(text: str) -> str:
    """Text that LaTeX shows as it is. Letters for which there is no command stay: see `beyond_pdflatex`."""
    return "-{}-".join("".join(map(_letter, part)) for part in folded(text).split("--"))


def beyond_pdflatex(text: str) -> str:
    """Those of the letters of an `escaped` text that only LuaLaTeX and XeLaTeX have, given a font that has them."""
    return "".join(dict.fromkeys(letter for letter in text if ord(letter) > 127))


def _letter(letter: str) -> str:
    if letter in _NAMED:
        return _NAMED[letter]
    if letter.isascii():
        return letter
    if greek := _GREEK.fullmatch(unicodedata.name(letter, "")):
        size, name = greek[1], greek[2].replace("LAMDA", "LAMBDA")
        if size == "SMALL":
            return "o" if name == "OMICRON" else rf"$\{name.lower()}$"
        return _LIKE_LATIN.get(name) or rf"$\{name.capitalize()}$"
    base, *marks = list(unicodedata.normalize("NFD", letter))
    if base.isascii() and len(marks) == 1 and marks[0] in _ACCENTS:
        dotless = "\\" if base in "ij" else ""  # or its dot would stand below the accent
        return f"\\{_ACCENTS[marks[0]]}{{{dotless}{base}}}"
    return letter


def number(text: str) -> str:
    """The inside of a formula for a number as `gvlab.numbers` writes it."""
    return re.sub(r"e([+-]?)0*(\d+)$", lambda power: rf" \times 10^{{{power[1].lstrip('+')}{power[2]}}}", text)
