"""Names of gestures, and which posture each of them means."""

from __future__ import annotations

import re

from semg.names.normal_form import LIKE_REST, key

OTHER_NAMES: dict[str, tuple[str, ...]] = {
    "rest": (*sorted(LIKE_REST - {"rest"}), "reposo", "descanso", "relajado", "entspannt"),
    "fist": ("close", "close hand", "closed hand", "hand close", "hand closed", "hand closing", "clench",
             "make a fist", "closed fist", "clenched fist", "faust", "hand schließen", "puño",
             "cerrar la mano", "mano cerrada"),
    "open hand": ("open", "hand open", "hand opening", "open palm", "spread", "spread fingers",
                  "fingers spread", "finger spread", "spread hand", "hand spread", "five", "5", "stop", "splay",
                  "flick", "finger flick", "finger abduction", "fingers abduction",
                  "abduction of all fingers", "offene hand", "hand öffnen",
                  "finger spreizen", "mano abierta", "abrir la mano"),
    "fingers together": ("finger adduction", "fingers adduction", "close fingers", "flat hand", "adduction", "b hand"),
    "wrist flexion": ("flexion", "flex", "hand flexion", "flexed wrist", "wrist flex", "wrist down", "hand down",
                      "palmar flexion", "wave in", "wavein", "handgelenk beugen", "beugung", "flexión",
                      "flexion of the wrist", "flexión de muñeca"),
    "wrist extension": ("extension", "extend", "hand extension", "extended wrist", "wrist extend", "wrist up",
                        "hand up", "dorsiflexion", "dorsal extension", "wave out", "waveout",
                        "handgelenk strecken", "streckung", "extension of the wrist",
                        "extensión", "extensión de muñeca"),
    "radial deviation": ("wrist left", "hand left", "abduction of the wrist", "wrist radial deviation",
                         "radial", "wrist abduction", "radialabduktion", "desviación radial"),
    "ulnar deviation": ("wrist right", "hand right", "adduction of the wrist", "wrist ulnar deviation",
                        "ulnar", "wrist adduction", "ulnarabduktion", "desviación cubital"),
    "pronation": ("wrist pronation", "forearm pronation", "pronate", "palm down", "turn in", "rotate in", "pronación"),
    "supination": ("wrist supination", "forearm supination", "supinate", "palm up", "turn out", "rotate out",
                   "supinación"),
    "pinch": ("pinch grip", "index pinch", "fine pinch", "precision pinch", "tip pinch", "precision grip",
              "pinch index", "two finger pinch", "fine grip", "double tap", "pinching", "pincer grip", "pinza",
              "pinzettengriff", "spitzgriff", "tip grip"),
    "ok": ("okay", "ok sign", "okay sign"),
    "middle pinch": ("snap", "finger snap", "snap fingers", "schnippen", "chasquido",
                     "pinch middle", "thumb middle", "middle finger pinch"),
    "ring pinch": ("pinch ring", "thumb ring", "ring finger pinch"),
    "little pinch": ("pinch little", "thumb little", "little finger pinch", "pinky pinch", "pinch pinky", "opposition",
                     "thumb opposition", "thumb little finger opposition"),
    "tripod grip": ("tripod", "tripod pinch", "three finger pinch", "three jaw chuck", "three jaw grip", "chuck grip",
                    "pen grip", "writing tripod", "palmar pinch", "dreipunktgriff", "tridigital grip", "write"),
    "key grip": ("key pinch", "lateral pinch", "lateral grip", "lateral", "lateral grasp", "key", "lateral key pinch",
                 "side pinch", "schlüsselgriff", "pinza lateral"),
    "power grip": ("power grasp", "cylinder grip", "cylindrical grip", "cylindrical grasp", "cylindrical", "grip",
                   "grab", "grasp", "palmar grasp", "hold a glass", "medium wrap", "large diameter grasp", "kraftgriff",
                   "zylindergriff", "agarre de fuerza", "agarre cilíndrico"),
    "ball grip": ("spherical grip", "spherical grasp", "sphere grip", "spherical", "ball", "power sphere grasp",
                  "kugelgriff", "agarre esférico"),
    "hook grip": ("hook", "hook grasp", "carry", "carry a bag", "hakengriff", "agarre de gancho"),
    "point": ("pointing", "index point", "pointer", "one", "1", "index up", "index finger up", "point index",
              "pointing index", "point finger", "zeigen", "zeigefinger zeigen", "señalar", "apuntar"),
    "victory": ("peace", "v", "v sign", "two", "2", "victory sign", "two fingers", "scissors"),
    "three": ("3", "three fingers"),
    "four": ("4", "four fingers"),
    "thumb up": ("thumbs up", "thumb upward", "like", "daumen hoch", "pulgar arriba"),
    "thumb down": ("thumbs down", "dislike", "daumen runter", "pulgar abajo"),
    "horns": ("rock", "rock on", "sign of the horns"),
    "little finger up": ("pinky up", "little up"),
    "middle finger up": ("middle up",),
    "telephone": ("phone", "call", "call me", "shaka", "hang loose", "y"),
    "finger gun": ("gun", "l", "l sign", "pistol"),
    "love": ("i love you", "ily"),
    "thumb": ("thumb flexion", "thumb bend", "thumb flex", "flexion of the thumb", "bend thumb", "thumb adduction",
              "thumb in", "daumen", "pulgar"),
    "index finger": ("index flexion", "index finger flexion", "index bend", "index flex", "flexion of the index finger",
                     "bend index finger", "zeigefinger", "índice", "dedo índice"),
    "middle finger": ("middle", "middle flexion", "middle finger flexion", "middle bend", "middle flex",
                      "flexion of the middle finger", "bend middle finger", "mittelfinger", "dedo medio", "medio"),
    "ring finger": ("ring flexion", "ring finger flexion", "ring bend", "ring flex",
                    "flexion of the ring finger", "ring", "bend ring finger", "ringfinger", "anular", "dedo anular"),
    "little finger": ("little", "little flexion", "little finger flexion", "little bend", "little flex",
                      "pinky flexion", "pinky finger", "pinky", "flexion of the little finger", "bend little finger",
                      "kleiner finger", "meñique"),
    "thumb extension": ("thumb extend", "extension of the thumb", "thumb abduction", "thumb out", "extend thumb"),
    "index finger extension": ("index extension", "extension of the index finger", "index extend",
                               "extend index finger"),
    "middle finger extension": ("middle extension", "extension of the middle finger", "middle extend"),
    "ring finger extension": ("ring extension", "extension of the ring finger", "ring extend"),
    "little finger extension": ("little extension", "pinky extension", "extension of the little finger",
                                "little extend"),
}  # fmt: skip
_SEPARATOR = re.compile(r"[\s_\-/.]+")


def plain_form(name: str) -> str:
    """Return a gesture's name without what files and people write differently: case, ``_`` and ``-`` for blanks."""
    return _SEPARATOR.sub(" ", key(name)).strip()


_POSTURE_OF = {plain_form(other): name for name, others in OTHER_NAMES.items() for other in (name, *others)}


def posture_of(name: str) -> str | None:
    """Return which posture a gesture's name means, or None when it is none of those that are drawn."""
    wanted = plain_form(name)
    found = _POSTURE_OF.get(wanted) or _POSTURE_OF.get(wanted.removesuffix(" gesture"))
    if found is None and " hand" in wanted:
        return _POSTURE_OF.get(wanted.replace("left hand ", "").replace("right hand ", ""))
    return found
