"""時給診断: what is this person's work worth an hour?"""
