"""The hunt for keys that go elsewhere: random cases, and a model of who may get which secret.

`cases` draws a case and writes its files, `opencode` says where opencode 1.18 sends what, `rights` who may get it,
`driver` lets a case happen. ``make hunt`` hunts for as long as one likes, tests/test_hunt.py in every run of the tests.
"""
