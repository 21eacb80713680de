"""Grades back into the LMS: the worksheet that it exported, filled, and nothing else.

sheet.py    a CSV file as it is: BOM, separator, line ends, quoted line breaks
layouts.py  Moodle's, Canvas's and Brightspace's: who a row is, where a grade goes
fill.py     whose row is whose, what is filled, and what is said of all others
"""
