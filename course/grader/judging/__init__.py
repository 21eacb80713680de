"""From a file to points, in this order.

parsing, conflicts             bytes → cells
source                         a cell's text as Python
places, answers, intake        cells → our notebook with their answers
referee, session, outputs      → points
"""
