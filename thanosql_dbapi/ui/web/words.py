"""The pages' words, in English and Korean."""

from __future__ import annotations

from collections.abc import Callable

LANGUAGES = ("en", "ko")

Words = Callable[..., str]

_TEXTS: dict[str, tuple[str, str]] = {
    "title": ("Pictures", "사진 검색"),
    "search": ("Search", "검색"),
    "placeholder": ("What is in the picture?", "어떤 사진을 찾으세요?"),
    "text_label": ("Describe a picture", "찾을 사진을 설명하세요"),
    "by_picture": ("Search by picture", "사진으로 검색"),
    "by_picture_help": (
        "Choose, drop or paste a picture. It is compared and not kept.",
        "사진을 고르거나, 끌어다 놓거나, 붙여넣으세요. 비교만 하고 저장하지 않습니다.",
    ),
    "drop_here": (
        "Drop the picture to find others like it",
        "사진을 놓으면 비슷한 사진을 찾습니다",
    ),
    "send_picture": ("Send the picture", "사진 보내기"),
    "your_picture": ("your picture", "보낸 사진"),
    "like_picture": ("pictures like this one", "이 사진과 비슷한 사진"),
    "more_like": ("More like this", "비슷한 사진"),
    "clear": ("Clear", "지우기"),
    "filters": ("Filters", "조건"),
    "filters_on": ("Filters ({count})", "조건 ({count})"),
    "apply": ("Apply", "적용"),
    "clear_filters": ("Clear filters", "조건 지우기"),
    "from": ("from", "부터"),
    "to": ("to", "까지"),
    "any": ("any", "전체"),
    "contains": ("contains", "포함"),
    "table": ("Table", "테이블"),
    "rows_link": ("All rows", "모든 행"),
    "sql_link": ("This search in SQL", "이 검색을 SQL로"),
    "row_link": ("The row", "행 보기"),
    "similarity": ("similarity", "유사도"),
    "more": ("Show more", "더 보기"),
    "best_of": ("The best of {count} pictures", "사진 {count}장 가운데 가장 비슷한 것"),
    "latest_of": ("{count} pictures, the latest first", "사진 {count}장, 최근 것부터"),
    "some_of": ("{count} pictures", "사진 {count}장"),
    "filtered": ("with the filters", "조건에 맞는 것만"),
    "results": ("Results", "결과"),
    "close": ("Close", "닫기"),
    "previous": ("Previous", "이전"),
    "next": ("Next", "다음"),
    "first_search": (
        "Searching … The first one takes some seconds.",
        "검색하는 중 … 처음에는 몇 초 걸립니다.",
    ),
    "failed": (
        "The server did not answer. Is it still running?",
        "서버가 응답하지 않습니다. 아직 실행 중인지 확인하세요.",
    ),
    "no_preview": ("This picture cannot be shown", "보여 줄 수 없는 사진입니다"),
    "skip": ("Skip to the results", "결과로 건너뛰기"),
    "language": ("한국어", "English"),
    "of_datasette": ("Datasette", "Datasette"),
    # Empty pages
    "nothing_found": ("No picture fits the filters.", "조건에 맞는 사진이 없습니다."),
    "nothing_found_help": (
        "Take a filter away, or choose wider dates.",
        "조건을 줄이거나 기간을 넓혀 보세요.",
    ),
    "nothing_left": ("There are no more pictures.", "더 이상 사진이 없습니다."),
    "no_vectors": (
        "There is nothing to search yet: no table of this database has vectors of its pictures.",
        "아직 검색할 것이 없습니다. 이 데이터베이스에는 사진 벡터가 있는 테이블이 없습니다.",
    ),
    "no_vectors_folder": (
        "Make them with one command in a terminal, then reload this page:",
        "터미널에서 다음 명령으로 벡터를 만든 뒤 이 페이지를 새로 고치세요.",
    ),
    "no_vectors_convert": (
        (
            "Table {table} has pictures in column {column}. These statements make the vectors;"
            " run them with {command}, then reload this page:"
        ),
        (
            "{table} 테이블의 {column} 열에 사진이 있습니다. {command}에서 다음 구문으로"
            " 벡터를 만든 뒤 이 페이지를 새로 고치세요."
        ),
    ),
    "no_row_has": (
        "No row has a vector yet. This statement makes them:",
        "아직 벡터가 있는 행이 없습니다. 다음 구문으로 만드세요.",
    ),
    "choose_table": ("Choose where to search", "검색할 곳을 고르세요"),
    "count_pictures": ("{count} pictures", "사진 {count}장"),
    # Errors
    "error_title": ("This cannot be shown", "보여 줄 수 없습니다"),
    "back": ("Back to the search", "검색으로 돌아가기"),
    "bad_filter": (
        "{filter} names no column or comparison of this table, or a value it cannot have.",
        "{filter} 조건은 이 테이블에 없는 열이나 비교이거나, 쓸 수 없는 값입니다.",
    ),
    "bad_page": (
        "Pages are numbered from 1 to {most}; make the search narrower instead.",
        "페이지는 1부터 {most}까지입니다. 검색 조건을 좁혀 보세요.",
    ),
    "too_long": (
        (
            "The text has {length} characters, and {most} are the most. Describe the picture in a"
            " sentence."
        ),
        "글이 {length}자입니다. 최대 {most}자이니 한 문장으로 설명해 주세요.",
    ),
    "bad_vector": (
        "The form's vector is not one of this table's. Give the picture once more.",
        "이 테이블에 맞지 않는 벡터입니다. 사진을 다시 보내 주세요.",
    ),
    "bad_picture": (
        "The file is no picture that can be read: {reason}",
        "읽을 수 없는 사진 파일입니다: {reason}",
    ),
    "bad_form": (
        "The form cannot be read. Send it once more.",
        "양식을 읽을 수 없습니다. 다시 보내 주세요.",
    ),
    "bad_token": (
        "The form is too old, or of another page. Reload the search and send it once more.",
        "양식이 오래되었거나 다른 페이지의 것입니다. 검색 페이지를 새로 고친 뒤 다시 보내 주세요.",
    ),
    "too_large": (
        "The picture is larger than {most} MB. Make it smaller; 1,000 pixels are plenty.",
        "사진이 {most}MB보다 큽니다. 더 작게 만들어 보내세요. 1,000픽셀이면 충분합니다.",
    ),
    "no_row": ("There is no row {row} in this table.", "이 테이블에 {row} 행이 없습니다."),
    "no_vector": (
        "Row {row} has no vector, so nothing can be compared with it. CONVERT the table again.",
        "{row} 행에는 벡터가 없어 비교할 수 없습니다. 테이블을 다시 CONVERT 하세요.",
    ),
    "no_database": ("There is no such database here.", "그런 데이터베이스가 없습니다."),
    "no_table": (
        "There is no such table with vectors in this database.",
        "이 데이터베이스에 벡터가 있는 그런 테이블이 없습니다.",
    ),
    "no_picture_row": (
        "No row of a table that can be searched has this picture.",
        "검색할 수 있는 테이블에 이 사진이 있는 행이 없습니다.",
    ),
    "no_column": ("The table has no such column.", "테이블에 그런 열이 없습니다."),
    "no_picture": ("This row has no picture.", "이 행에는 사진이 없습니다."),
    "picture_outside": (
        "This file is outside of the folders that may be shown.",
        "보여 줄 수 있는 폴더 밖에 있는 파일입니다.",
    ),
    "picture_missing": ("The picture's file is gone.", "사진 파일이 없습니다."),
    "picture_damaged": (
        "The file is no picture that can be read.",
        "읽을 수 없는 사진 파일입니다.",
    ),
    "picture_elsewhere": (
        "The picture is at a web address, and this page fetches nothing.",
        "사진이 웹 주소에 있으며, 이 페이지는 아무것도 내려받지 않습니다.",
    ),
    "bad_width": ("A picture is shown {widths} pixels wide.", "사진 너비는 {widths}픽셀입니다."),
    "model_problem": (
        "{problem} Run CONVERT on table {table} again, or get the model back.",
        "{problem} {table} 테이블을 다시 CONVERT 하거나 모델을 되돌리세요.",
    ),
    "refused": ("{reason}", "{reason}"),
    "forbidden": (
        "You do not have permission to see this.",
        "이 내용을 볼 권한이 없습니다.",
    ),
    "method": ("This page is asked by GET or POST.", "이 페이지는 GET 또는 POST로 요청합니다."),
}


def words_of(language: str) -> Words:
    """Return a function that gives a text by its key, with values filled in.

    Example:
        >>> words_of("en")("row_link"), words_of("ko")("count_pictures", count="3")
        ('The row', '사진 3장')
    """
    index = LANGUAGES.index(language)

    def words(key: str, **values: object) -> str:
        text = _TEXTS[key][index]
        return text.format(**values) if values else text

    return words


def language_of(wanted: str | None, accepted: str) -> str:
    """Return the language of a page.

    Args:
        wanted: What the visitor has chosen, or None.
        accepted: The request's ``Accept-Language``, or "".

    Example:
        >>> language_of(None, "fr;q=0.5, ko-KR"), language_of("en", "ko"), language_of(None, "fr")
        ('ko', 'en', 'en')
    """
    if wanted in LANGUAGES:
        return wanted
    weighed = []
    for part in accepted.split(","):
        tag, _, weight = part.strip().partition(";q=")
        try:
            weighed.append((float(weight or 1), tag.strip().lower().partition("-")[0]))
        except ValueError:
            continue
    weighed.sort(key=lambda each: -each[0])
    return next((tag for weight, tag in weighed if weight > 0 and tag in LANGUAGES), "en")
