"""Custom stages: stages that did not come with glasschat.

`stage` is what a reply's settings hold of one, `stage_class` and `stage_setting` its class and the
fields of that class, `loading` imports classes, `guard` checks every call.
"""
