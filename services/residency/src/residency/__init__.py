"""海外居住判定: does this person live abroad?"""
