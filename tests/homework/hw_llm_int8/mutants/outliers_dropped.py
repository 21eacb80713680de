"""Removes the outliers and forgets to add their product."""

LOSES = ["test_llm_int8"]


def llm_int8(x, w, threshold):
    outliers = outlier_columns(x, threshold)
    x_codes, x_constants = quantize_rows(x.index_fill(1, outliers, 0))
    w_codes, w_constants = quantize_rows(w.index_fill(1, outliers, 0))
    return rescale(int_product(x_codes, w_codes), x_constants, w_constants)
