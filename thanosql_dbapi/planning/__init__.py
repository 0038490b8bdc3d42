"""What was decided about a statement before any SQL is written: plans, arguments, answers.

Everything here is frozen and knows neither a database nor a model. ``statements`` makes the plans,
a store compiles them.
"""
