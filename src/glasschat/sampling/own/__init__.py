"""Stages of one's own: what a reply asks for (`asked`), classes and their settings
(`stage_class`, `stage_setting`), how one is found (`loading`) and kept from harm (`fence`).
"""
