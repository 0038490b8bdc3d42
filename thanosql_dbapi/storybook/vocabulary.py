"""The words the storybook's captions are made of; the first of each row is the usual one."""

from __future__ import annotations

THING_WORDS: dict[str, tuple[str, ...]] = {
    "cat": ("cat", "kitten", "kitty", "pussycat", "feline"),
    "dog": ("dog", "puppy", "doggy", "hound", "pup"),
    "bird": ("bird", "birdie", "songbird"),
    "fish": ("fish",),
    "horse": ("horse", "pony", "foal", "stallion"),
    "person": ("person", "man", "woman", "child", "someone", "human", "boy", "girl", "kid"),
    "tree": ("tree",),
    "house": ("house", "home", "cottage", "hut", "cabin"),
    "car": ("car", "automobile", "auto", "motorcar"),
    "boat": ("boat", "ship", "vessel"),
    "flower": ("flower", "blossom", "bloom"),
    "chair": ("chair", "seat"),
}

COLOUR_WORDS: dict[str, tuple[str, ...]] = {
    "black": ("black", "jet black", "coal black"),
    "white": ("white", "snow white", "ivory"),
    "red": ("red", "crimson", "scarlet", "bright red"),
    "orange": ("orange", "ginger", "bright orange"),
    "yellow": ("yellow", "golden", "bright yellow", "lemon"),
    "green": ("green", "emerald", "bright green"),
    "blue": ("blue", "azure", "navy", "bright blue"),
    "purple": ("purple", "violet", "lilac"),
    "pink": ("pink", "rosy", "bright pink"),
    "brown": ("brown", "chestnut", "chocolate"),
}
COUNT_WORDS: dict[int, tuple[str, ...]] = {
    1: ("one", "a single", "1", "a lone", "only one"),
    2: ("two", "2", "a pair of", "a couple of"),
    3: ("three", "3", "a trio of"),
}
PLACE_PHRASES: dict[str, tuple[str, ...]] = {
    "beach": (
        "on the beach",
        "at the beach",
        "on a beach",
        "by the sea",
        "at the seaside",
        "on the shore",
        "on the sand",
        "by the ocean",
        "on the coast",
    ),
    "forest": (
        "in the forest",
        "in a forest",
        "in the woods",
        "in the wood",
        "among the trees",
        "in the woodland",
        "in a wood",
    ),
    "snow": (
        "in the snow",
        "on snow",
        "in winter",
        "in a snowy landscape",
        "on the snow",
        "in a winter landscape",
        "in snow",
    ),
    "city": (
        "in the city",
        "in a city",
        "in town",
        "in the street",
        "on a street",
        "downtown",
        "in the town",
        "on the road",
    ),
    "room": (
        "in a room",
        "in the room",
        "indoors",
        "inside",
        "at home",
        "in the living room",
        "in a house",
        "in the bedroom",
    ),
    "mountains": (
        "in the mountains",
        "in front of the mountains",
        "in front of mountains",
        "near the mountains",
        "in the alps",
        "below the peaks",
        "with mountains",
    ),
    "lake": (
        "by the lake",
        "at the lake",
        "by a lake",
        "on the lake",
        "at a lake",
        "beside the lake",
        "on the lakeside",
        "by the pond",
    ),
}
TIME_PHRASES: dict[str, tuple[str, ...]] = {
    "day": ("by day", "during the day", "in daylight", "in the daytime", "at noon", "in the day"),
    "night": (
        "at night",
        "by night",
        "in the moonlight",
        "after dark",
        "under the stars",
        "at midnight",
    ),
    "sunset": (
        "at sunset",
        "at dusk",
        "in the evening",
        "at sundown",
        "in the sunset",
        "in evening light",
    ),
    "rain": (
        "in the rain",
        "on a rainy day",
        "in rainy weather",
        "while it rains",
        "in a shower",
        "when it rains",
    ),
}
TIME_ADJECTIVES = {"day": "day", "night": "night", "sunset": "evening", "rain": "rainy day"}
MOOD_WORDS: dict[str, tuple[str, ...]] = {
    "calm": ("calm", "quiet", "peaceful", "serene", "tranquil"),
    "cheerful": ("cheerful", "happy", "joyful", "merry", "festive", "jolly"),
    "gloomy": ("gloomy", "sad", "dreary", "bleak", "dismal", "melancholy"),
}
SCENE_WORDS = ("photo", "picture", "scene", "image", "view")
PREFIXES = (
    "a photo of",
    "photos of",
    "a picture of",
    "pictures of",
    "an image of",
    "images of",
    "a drawing of",
    "an illustration of",
    "a painting of",
)
