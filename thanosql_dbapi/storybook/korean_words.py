"""The Korean words the storybook's captions are made of; the first of each row is the usual one."""

from __future__ import annotations

THING_WORDS: dict[str, tuple[str, ...]] = {
    "cat": ("고양이", "새끼 고양이", "아기 고양이", "냥이", "야옹이", "길고양이"),
    "dog": ("개", "강아지", "강아지", "멍멍이", "댕댕이"),
    "bird": ("새", "작은 새", "아기 새", "산새"),
    "fish": ("물고기", "생선"),
    "horse": ("말", "망아지", "조랑말"),
    "person": (
        "사람",
        "남자",
        "여자",
        "아이",
        "어린이",
        "소년",
        "소녀",
        "꼬마",
        "인물",
        "누군가",
    ),
    "tree": ("나무",),
    "house": ("집", "주택", "오두막", "오두막집"),
    "car": ("자동차", "차", "승용차"),
    "boat": ("배", "보트", "선박", "돛단배"),
    "flower": ("꽃", "꽃송이"),
    "chair": ("의자", "걸상"),
}
KIND_WORDS: dict[str, tuple[str, ...]] = {
    "animal": ("동물", "짐승"),
    "pet": ("반려동물", "애완동물"),
    "vehicle": ("탈것",),
    "plant": ("식물",),
}
"""Wider words; "생물" (creature) is none of them, for a tree is one in Korean."""

COUNTERS: dict[str, str] = {
    "cat": "마리",
    "dog": "마리",
    "bird": "마리",
    "fish": "마리",
    "horse": "마리",
    "animal": "마리",
    "pet": "마리",
    "person": "명",
    "tree": "그루",
    "house": "채",
    "car": "대",
    "vehicle": "대",
    "boat": "척",
    "flower": "송이",
    "plant": "그루",
    "chair": "개",
}
"""What one of a kind is counted in: 고양이 두 마리, 자동차 두 대."""

NUMBERS: dict[int, str] = {1: "한", 2: "두", 3: "세"}
NUMBER_NOUNS: dict[int, str] = {1: "하나", 2: "둘", 3: "셋"}

COLOUR_WORDS: dict[str, tuple[str, ...]] = {
    "black": ("검은", "까만", "검은색", "검정", "검정색", "까만색", "새까만"),
    "white": ("하얀", "흰", "흰색", "하얀색", "새하얀"),
    "red": ("빨간", "빨간색", "붉은", "빨강", "새빨간", "붉은색"),
    "orange": ("주황색", "주황", "주황빛", "오렌지색", "귤색"),
    "yellow": ("노란", "노란색", "노랑", "샛노란", "금빛", "황금색"),
    "green": ("초록색", "초록", "녹색", "초록빛", "연두색", "진초록색"),
    "blue": ("파란", "파란색", "파랑", "새파란", "하늘색", "남색"),
    "purple": ("보라색", "보라", "보랏빛", "자주색"),
    "pink": ("분홍색", "분홍", "핑크색", "핑크", "분홍빛", "연분홍색"),
    "brown": ("갈색", "밤색", "고동색", "초콜릿색"),
}
"""Each may stand right before a noun."""

COLOUR_NOUNS: dict[str, tuple[str, ...]] = {
    "black": ("검은색", "검정", "까만색", "검정색"),
    "white": ("흰색", "하얀색"),
    "red": ("빨간색", "빨강", "붉은색"),
    "orange": ("주황색", "오렌지색", "주황"),
    "yellow": ("노란색", "노랑"),
    "green": ("초록색", "녹색", "초록"),
    "blue": ("파란색", "파랑", "하늘색", "남색"),
    "purple": ("보라색", "보라"),
    "pink": ("분홍색", "핑크색", "분홍"),
    "brown": ("갈색", "밤색", "고동색"),
}
BLUE_OR_GREEN = ("푸른", "푸른색", "푸르른")
"""Korean has one word for both: the sea and a meadow are 푸른."""

PLACE_NOUNS: dict[str, tuple[str, ...]] = {
    "beach": ("해변", "바닷가", "해안", "모래사장", "바다", "해변가", "백사장", "모래밭"),
    "forest": ("숲", "숲속", "숲 속", "수풀 속", "나무 사이"),
    "snow": ("눈밭", "눈 위", "눈 속", "설원", "눈 덮인 곳", "눈 덮인 들판", "눈 쌓인 곳"),
    "city": ("도시", "거리", "시내", "길거리", "도심", "도시 한복판", "번화가"),
    "room": ("방", "방 안", "실내", "집 안", "거실", "침실"),
    "mountains": ("산", "산 앞", "산속", "산 아래", "산 근처", "알프스", "산기슭", "봉우리 아래"),
    "lake": ("호숫가", "호수", "호수 옆", "연못", "연못가", "호수 위", "호수 근처"),
}
"""Each may take 에 and 에서."""

PLACE_PHRASES: dict[str, tuple[str, ...]] = {
    "beach": ("바다가 보이는", "바다를 배경으로 한", "파도치는 바닷가의"),
    "forest": ("숲을 배경으로 한", "나무들 사이의", "숲길의"),
    "snow": ("겨울의", "눈 덮인 겨울의", "눈 오는 날의", "눈 내린 날의", "겨울날의"),
    "city": ("도시를 배경으로 한", "건물 사이의", "길가의"),
    "room": ("집에 있는", "집에서 찍은", "방에서 찍은"),
    "mountains": ("산이 보이는", "산을 배경으로 한", "산들 앞의"),
    "lake": ("호수가 보이는", "호수를 배경으로 한", "호숫가에서 찍은"),
}
"""Each stands before a noun as it is."""

TIME_NOUNS: dict[str, tuple[str, ...]] = {
    "day": ("낮", "한낮", "대낮", "낮 시간"),
    "night": ("밤", "한밤중", "달밤", "심야", "밤중"),
    "sunset": ("해 질 녘", "노을", "저녁", "석양", "일몰", "해질녘", "저녁노을", "황혼"),
    "rain": ("비 오는 날", "비", "빗속", "비 내리는 날", "소나기"),
}
TIME_PHRASES: dict[str, tuple[str, ...]] = {
    "day": ("낮의", "한낮의", "대낮의", "낮에 찍은", "낮에 본", "정오의"),
    "night": ("밤의", "한밤중의", "밤에 찍은", "달빛 아래의", "별빛 아래의", "한밤의", "밤에 본"),
    "sunset": (
        "해 질 녘의",
        "노을 지는",
        "저녁의",
        "석양 속의",
        "노을 속의",
        "해질녘의",
        "일몰 때의",
        "해 질 무렵의",
        "황혼의",
    ),
    "rain": (
        "비 오는 날의",
        "비 오는",
        "비 내리는",
        "빗속의",
        "비가 오는 날의",
        "비가 내리는",
        "비 내리는 날의",
        "소나기 속의",
    ),
}
"""Each stands before a noun as it is."""

TIME_ADVERBS: dict[str, tuple[str, ...]] = {
    "day": ("낮에", "한낮에", "대낮에", "정오에", "낮 동안"),
    "night": ("밤에", "한밤중에", "달빛 아래", "별빛 아래", "한밤에", "달밤에", "심야에"),
    "sunset": (
        "해 질 녘에",
        "저녁에",
        "노을 질 때",
        "석양 아래",
        "노을 속에서",
        "해질녘에",
        "일몰 때",
        "해 질 무렵에",
    ),
    "rain": ("비 오는 날", "비 오는 날에", "빗속에서", "비 올 때", "비가 올 때", "비가 내리는 날"),
}
FAIR_DAYS = ("맑은 날", "화창한 날", "햇살 좋은 날")

MOOD_WORDS: dict[str, tuple[str, ...]] = {
    "calm": ("차분한", "고요한", "평화로운", "조용한", "잔잔한", "평온한", "한가로운"),
    "cheerful": ("즐거운", "행복한", "신나는", "명랑한", "유쾌한", "기쁜", "흥겨운", "쾌활한"),
    "gloomy": ("우울한", "쓸쓸한", "슬픈", "음울한", "울적한", "침울한", "음침한"),
}
"""Each stands before a noun as it is."""

SCENE_WORDS = ("사진", "그림", "이미지", "장면", "풍경")
BEING_AT: dict[str, tuple[str, ...]] = {
    "horse": ("서 있는",),
    "person": ("서 있는",),
    "tree": ("서 있는",),
    "house": ("서 있는",),
    "car": ("서 있는", "세워진"),
    "flower": ("핀", "피어 있는"),
    "chair": ("놓인", "놓여 있는"),
}
"""How a thing is at a place: 꽃 핀, 의자 놓인; 있는 is said of all."""

DOING_AT: dict[str, tuple[str, ...]] = {
    "cat": ("노는", "쉬는", "놀고 있는"),
    "dog": ("노는", "뛰노는", "쉬는"),
    "bird": ("노는", "지저귀는"),
    "fish": ("헤엄치는", "노는"),
    "horse": ("뛰노는", "달리는", "쉬는"),
    "person": ("노는", "쉬는"),
    "tree": ("자라는",),
    "car": ("달리는",),
    "flower": ("자라는",),
}
"""What a thing may be said to do at a place, after 에서; it says nothing about the picture."""
