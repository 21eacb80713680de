"""Takes the constants before the outliers are gone: nothing is won."""

LOSES = ["test_llm_int8"]


def llm_int8(x, w, threshold):
    outliers = outlier_columns(x, threshold)
    (x_codes, x_constants), (w_codes, w_constants) = quantize_rows(x), quantize_rows(w)
    x_codes = x_codes.index_fill(1, outliers, 0)
    regular = rescale(int_product(x_codes, w_codes), x_constants, w_constants)
    return x[:, outliers] @ w[:, outliers].T + regular
