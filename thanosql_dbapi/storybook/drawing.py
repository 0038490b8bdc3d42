"""Paints a scene: sky, place, the things in it, weather, mood.

Whatever does not depend on the row is drawn once a painter (some eighty sheets) and kept; a row
is a window of a sky and of a place, tinted, with its sprites laid on.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, NamedTuple

from . import skies
from .canvas import WOODEN, Colour, Pen, darker
from .objects import seat
from .places import PLACES, WINDOW
from .sprites import HEIGHTS, POSES, SITTING, Draw, Sprites
from .world import Scene, lot

if TYPE_CHECKING:
    from PIL import Image

WIDTH_PX, HEIGHT_PX = 320, 240
_HORIZON_PX = 190  # no sky is seen below this row
_SKIES, _GROUNDS, _EXTRAS = 3, 5, 4

# How each time of day colours a place: factors for red, green, blue. The things get a third of it,
# as if the light fell on them, so that red stays red at night.
_LIGHT: dict[str, tuple[float, float, float]] = {
    "day": (1.0, 1.0, 1.0),
    "night": (0.40, 0.46, 0.76),
    "sunset": (1.02, 0.76, 0.66),
    "rain": (0.76, 0.83, 0.88),
}
_LIGHT_INDOORS: dict[str, tuple[float, float, float]] = {
    "day": (1.0, 1.0, 1.0),
    "night": (0.56, 0.52, 0.70),
    "sunset": (1.04, 0.82, 0.68),
    "rain": (0.78, 0.83, 0.88),
}
_SATURATION = {"calm": 1.0, "cheerful": 1.18, "gloomy": 0.42}
_BRIGHTNESS = {"calm": 1.0, "cheerful": 1.06, "gloomy": 0.78}


class _Spot(NamedTuple):
    """Where a thing stands: the row of its feet and the column of its middle, in pixels."""

    foot: float
    x: float

    def raised(self, px: float) -> _Spot:
        return _Spot(self.foot - px, self.x)

    def corner(self, dx: float, dy: float) -> tuple[int, int]:
        """Return the pixel that far to the left and above."""
        return round(self.x - dx), round(self.foot - dy)


class Painter:
    """Draws scenes; keeps what it drew for the next one.

    Example:
        >>> from thanosql_dbapi.storybook.world import sample_scene
        >>> Painter().paint(sample_scene(0, 0), seed=0, index=0).size
        (320, 240)
    """

    def __init__(self) -> None:
        """Start with nothing drawn."""
        self._sprites = Sprites()
        self._sheets: dict[tuple[object, ...], Image.Image] = {}

    def paint(self, scene: Scene, *, seed: int, index: int) -> Image.Image:
        """Paint one scene; poses, sizes and backgrounds are drawn by lot from seed and index.

        Args:
            scene: what is to be seen.
            seed: the data set's seed.
            index: the row.

        Returns:
            RGB, 320 by 240.
        """
        rng = lot(seed, index, "picture")
        picture = self._background(scene, rng)
        if scene.mood == "gloomy" and scene.place != "room":
            self._mist(picture, scene, rng)
        self._cast(picture, scene, rng)
        self._weather(picture, scene, rng)
        return picture

    def _sheet(self, kind: str, *key: object) -> Image.Image:
        """Draw a background sheet at its first use."""
        full = (kind, *key)
        if full not in self._sheets:
            from PIL import ImageOps

            rng = lot(*full)
            if kind == "sky":
                self._sheets[full] = skies.sky(str(key[0]), str(key[1]), rng)
            elif kind == "ground":
                ground, lights = Pen(skies.WIDE, skies.HIGH, 2), Pen(skies.WIDE, skies.HIGH, 2)
                PLACES[str(key[0])](ground, lights, lot("place", *key))
                land = ground.image.reduce(2)
                self._sheets["hole", key[0], key[1]] = ImageOps.invert(land.getchannel("A"))
                self._sheets["ground", key[0], key[1]] = land.convert("RGB")
                self._sheets["lights", key[0], key[1]] = lights.image.reduce(2)
            elif kind == "lamplight":
                self._sheets[full] = self._disc(WIDTH_PX, HEIGHT_PX, 84).copy()
            elif kind == "vignette":
                self._sheets[full] = skies.vignette(int(str(key[0])))
            else:
                self._sheets[full] = getattr(skies, kind)(rng)
        return self._sheets[full]

    def _background(self, scene: Scene, rng: random.Random) -> Image.Image:
        from PIL import ImageOps

        is_room = scene.place == "room"
        sky = self._sheet("sky", scene.time, scene.mood, int(rng.random() * _SKIES))
        variant = int(rng.random() * _GROUNDS)
        ground = self._sheet("ground", scene.place, variant)
        left, mirrored = int(rng.random() * 81), rng.random() < 0.5
        sky_left = int(rng.random() * 81)
        arch_left = int(rng.random() * 81)
        has_arch = scene.mood == "cheerful" and scene.time in ("day", "rain") and rng.random() < 0.6
        if has_arch and not is_room:
            sky = sky.copy()
            arch = self._sheet("rainbow", int(rng.random() * _EXTRAS))
            sky.paste(arch, (arch_left - 40, 0), arch)
        window = (left, 0, left + WIDTH_PX, HEIGHT_PX)
        hole = self._sheets["hole", scene.place, variant].crop(window)
        factors = (_LIGHT_INDOORS if is_room else _LIGHT)[scene.time]
        if is_room:
            x0, y0, x1, y1 = WINDOW
            view = sky.crop((60, 0, 340, 168)).resize((x1 - x0, y1 - y0))
            if scene.time == "rain":
                mask = self._sheet("streaks", 0).crop((0, 0, x1 - x0, y1 - y0))
                view.paste((226, 236, 246), (0, 0), mask)
            hole = hole.crop((x0 - left, y0, x1 - left, y1))
            corner = (x0 - left, y0)
        else:
            view, corner = sky.crop((sky_left, 0, sky_left + WIDTH_PX, _HORIZON_PX)), (0, 0)
        picture = ground.crop(window).convert("RGB", _tint(factors, scene.mood))
        picture.paste(view, corner, hole.crop((0, 0, view.width, view.height)))
        if scene.time == "night":
            shine = self._sheets["lights", scene.place, variant].crop(window)
            picture.paste(shine.convert("RGB"), (0, 0), shine.getchannel("A"))
            if is_room and scene.mood != "gloomy":
                picture.paste((255, 214, 140), (0, 0), self._sheet("lamplight"))
        return ImageOps.mirror(picture) if mirrored else picture

    def _cast(self, picture: Image.Image, scene: Scene, rng: random.Random) -> None:
        n = scene.count
        on_water = scene.thing in ("boat", "fish") and scene.place in ("beach", "lake")
        low, high = (166, 186) if on_water else (212, 230)
        if scene.thing == "fish" and not on_water:
            low, high = 196, 214
        shrink = ((0.92, 1.16), (0.80, 0.97), (0.70, 0.82))[n - 1]
        side = HEIGHTS[scene.thing]
        step = min(
            300 / n,
            side * shrink[1] * (1.0 if scene.thing in ("car", "boat", "horse") else 0.96) + 8,
        )
        room_left = (300 - step * n) / 2
        middle = 160 + rng.uniform(-1, 1) * (max(room_left, 0) + (34 if n == 1 else 0)) * 0.9
        spots = []
        for i in range(n):
            x = middle + (i - (n - 1) / 2) * step + (rng.uniform(-1, 1) * 3)
            spots.append(_Spot(rng.uniform(low, high), x))
        poses = SITTING[scene.thing] if scene.is_on_chair else POSES[scene.thing]
        same = rng.random() < 0.5
        first = poses[int(rng.random() * len(poses))]
        for spot in sorted(spots):
            pose = first if same else poses[int(rng.random() * len(poses))]
            px = side * rng.uniform(*shrink)
            if scene.is_on_chair:
                self._seated(picture, scene, pose, spot, rng)
            else:
                self._stand(picture, scene, pose, spot, px, rng)

    def _seated(
        self, picture: Image.Image, scene: Scene, pose: Draw, spot: _Spot, rng: random.Random
    ) -> None:
        px = rng.uniform(108, 126)
        is_mirrored = rng.random() < 0.5
        self._shadow(picture, spot, px * 0.8)
        self._lay(picture, scene, seat, WOODEN, spot, px, is_mirrored)
        size = {"cat": 0.72, "dog": 0.76, "bird": 0.62, "person": 1.0}[scene.thing] * px
        # the sitter's own seat or feet come to rest on the chair's, which is 36 of 104 units up
        rest = 0.36 * px
        if scene.thing == "person":
            rest = 0.15 * px
        self._lay(picture, scene, pose, scene.colour, spot.raised(rest - 2), size, is_mirrored)

    def _stand(
        self,
        picture: Image.Image,
        scene: Scene,
        pose: Draw,
        spot: _Spot,
        px: float,
        rng: random.Random,
    ) -> None:
        is_mirrored = rng.random() < 0.5
        in_water = scene.place in ("beach", "lake")
        if scene.thing in ("fish", "boat"):
            self._pool(picture, scene, spot, px, in_water)
            lift = px * 0.06 if scene.thing == "fish" else -px * 0.06
        elif pose.__name__ == "bird_flying":
            lift = rng.uniform(34, 74)
            self._shadow(picture, spot, px * 0.5)
        else:
            lift = 0.0
            self._shadow(picture, spot, px * 0.78)
        tilt = rng.uniform(-5, 5) if scene.thing in ("fish", "bird", "boat", "flower") else 0.0
        self._lay(picture, scene, pose, scene.colour, spot.raised(lift), px, is_mirrored, tilt)
        if scene.thing in ("fish", "boat"):
            self._splash(picture, scene, spot, px)

    def _lay(
        self,
        picture: Image.Image,
        scene: Scene,
        pose: Draw,
        colour: str,
        spot: _Spot,
        px: float,
        is_mirrored: bool,
        tilt: float = 0.0,
    ) -> None:
        """Lay one sprite on the picture: sized, mirrored, tilted, lit."""
        from PIL import Image, ImageOps

        side = round(px)
        colours, mask = (
            sheet.resize((side, side), Image.Resampling.BILINEAR)
            for sheet in self._sprites.get(pose, colour, side)
        )
        if is_mirrored:
            colours, mask = ImageOps.mirror(colours), ImageOps.mirror(mask)
        if tilt:
            colours = colours.rotate(tilt, Image.Resampling.BILINEAR)
            mask = mask.rotate(tilt, Image.Resampling.BILINEAR)
        factors = (_LIGHT_INDOORS if scene.place == "room" else _LIGHT)[scene.time]
        soft = tuple(1 - (1 - f) * 0.34 for f in factors)
        lit = colours.convert("RGB", _tint((soft[0], soft[1], soft[2]), scene.mood, 0.3))
        picture.paste(lit, spot.corner(side / 2, side * 0.965), mask)

    def _shadow(self, picture: Image.Image, spot: _Spot, width: float) -> None:
        mask = self._disc(round(width), max(4, round(width * 0.16)), 105)
        picture.paste((28, 26, 48), spot.corner(width / 2, mask.height / 2), mask)

    def _disc(self, width: int, height: int, strength: int) -> Image.Image:
        from PIL import Image

        key = ("disc", strength)
        if key not in self._sheets:
            ball = Image.radial_gradient("L")
            fall = [round(strength * min(1.0, max(0.0, 1 - v / 128) * 2.2)) for v in range(256)]
            self._sheets[key] = ball.point(fall).reduce(4)
        return self._sheets[key].resize((width, height))

    def _pool(
        self, picture: Image.Image, scene: Scene, spot: _Spot, px: float, in_water: bool
    ) -> None:
        """Water under what swims, where the place has none there."""
        if in_water:
            return
        factors = (_LIGHT_INDOORS if scene.place == "room" else _LIGHT)[scene.time]
        water = tuple(
            round(c * (0.4 + 0.6 * f)) for c, f in zip((104, 180, 220), factors, strict=True)
        )
        pen = Pen(px * 1.3, px * 0.34, 2)
        pen.oval(
            px * 0.65, px * 0.17, px * 0.64, px * 0.16, darker((water[0], water[1], water[2]), 0.3)
        )
        pen.oval(px * 0.65, px * 0.18, px * 0.61, px * 0.14, (water[0], water[1], water[2]))
        pool = pen.image.reduce(2)
        picture.paste(pool, spot.corner(px * 0.65, px * 0.14), pool)

    def _splash(self, picture: Image.Image, scene: Scene, spot: _Spot, px: float) -> None:
        """Foam where a hull or a tail meets the water."""
        foam: Colour = (150, 170, 214) if scene.time == "night" else (232, 244, 250)
        pen = Pen(px * 1.2, px * 0.5, 2)
        mid, base = px * 0.6, px * 0.36
        for dx, w in ((-0.34, 0.16), (0.0, 0.2), (0.34, 0.16)):
            pen.line(
                [
                    (mid + (dx - w) * px, base + 1),
                    (mid + dx * px, base - 2),
                    (mid + (dx + w) * px, base + 1),
                ],
                2.2,
                foam,
            )
        if scene.thing == "fish":
            for dx, dy in (
                (-0.3, -0.2),
                (-0.4, -0.1),
                (0.3, -0.2),
                (0.4, -0.08),
                (-0.22, -0.08),
                (0.2, -0.1),
            ):
                pen.oval(mid + dx * px, base + dy * px, 2.2, 2.8, foam)
        drops = pen.image.reduce(2)
        picture.paste(drops, spot.corner(px * 0.6, px * 0.36), drops)

    def _mist(self, picture: Image.Image, scene: Scene, rng: random.Random) -> None:
        left = int(rng.random() * 81)
        mask = self._sheet("fog", int(rng.random() * _EXTRAS))
        colour: Colour = (86, 90, 112) if scene.time == "night" else (172, 176, 182)
        picture.paste(colour, (0, 0), mask.crop((left, 0, left + WIDTH_PX, HEIGHT_PX)))

    def _weather(self, picture: Image.Image, scene: Scene, rng: random.Random) -> None:
        left, extra = int(rng.random() * 81), int(rng.random() * _EXTRAS)
        window = (left, 0, left + WIDTH_PX, HEIGHT_PX)
        is_mirrored = rng.random() < 0.5
        is_room = scene.place == "room"
        if scene.time == "rain" and not is_room:
            drop: Colour = (196, 206, 218) if scene.mood == "gloomy" else (226, 238, 250)
            picture.paste(drop, (0, 0), self._sheet("streaks", extra).crop(window))
        elif scene.place == "snow":
            picture.paste((250, 252, 255), (0, 0), self._sheet("flakes", extra).crop(window))
        if scene.mood == "gloomy":
            self._overlay(picture, "cobweb" if is_room else "branches", extra, is_mirrored)
            picture.paste((20, 20, 30), (0, 0), self._sheet("vignette", 165))
        elif scene.mood == "cheerful":
            self._overlay(picture, "bunting", extra, is_mirrored)

    def _overlay(self, picture: Image.Image, kind: str, extra: int, is_mirrored: bool) -> None:
        from PIL import ImageOps

        sheet = self._sheet(kind, extra)
        box = sheet.getbbox() or (0, 0, WIDTH_PX, HEIGHT_PX)
        sheet = sheet.crop((0, 0, WIDTH_PX, box[3]))
        if is_mirrored:
            sheet = ImageOps.mirror(sheet)
        picture.paste(sheet, (0, 0), sheet)


def _tint(factors: tuple[float, float, float], mood: str, share: float = 1.0) -> tuple[float, ...]:
    """Colour matrix for Image.convert: saturation and brightness of a mood, then the light."""
    s = 1 + (_SATURATION[mood] - 1) * share
    b = 1 + (_BRIGHTNESS[mood] - 1) * share
    grey = (0.30 * (1 - s), 0.59 * (1 - s), 0.11 * (1 - s))
    rows: list[float] = []
    for i, factor in enumerate(factors):
        rows += [factor * b * (grey[j] + (s if i == j else 0)) for j in range(3)]
        rows.append(0.0)
    return tuple(rows)
